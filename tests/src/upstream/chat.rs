//! A request for a completion, and the bytes of its reply.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    plan::{Dialect, Ending, Plan, Text, Trouble},
    playback::{After, Script},
    record::locked,
    stamp,
};

/// The same instant always: the same question gets the same bytes.
const CREATED: u64 = 1_767_225_600;
/// Suffixes make names without end; beyond this many, replies are written anew each time.
const MOST_PREPARED: usize = 64;

#[derive(Debug, Deserialize)]
pub(super) struct Question<'a> {
    #[serde(borrow)]
    pub(super) model: Cow<'a, str>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: StreamOptions,
    /// Read only by the models that answer to it.
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    role: String,
    #[serde(default)]
    content: Value,
}

/// The part of a reply that depends on its model and words alone.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Every chunk up to this: `data: {"id": …, "choices":[`.
    opening: String,
    stream: Bytes,
    ends: Arc<[usize]>,
    /// The words as the inside of a JSON string.
    content: String,
    count: usize,
}

#[derive(Debug, Default)]
pub(super) struct Prepare {
    ready: Mutex<HashMap<String, Arc<Prepared>>>,
}

impl Question<'_> {
    fn messages(&self) -> Vec<Message> {
        self.messages.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    fn words(&self, text: Text) -> Vec<String> {
        match text {
            Text::Numbered(count) => (0..count).map(|n| format!("tok~{n}~ ")).collect(),
            Text::Accented(count) => (0..count).map(|n| format!("tok~{n}~ż🦀 ")).collect(),
            Text::Long { count, bytes } => (0..count)
                .map(|n| format!("{:x<1$} ", format!("tok~{n}~"), bytes.saturating_sub(1)))
                .collect(),
            Text::Stamped(count) => (0..count).map(stamp::word).collect(),
            Text::LastQuestion => {
                let messages = self.messages();
                let last = messages.iter().rfind(|message| message.role == "user");
                split_words(&last.map(Message::text).unwrap_or_default())
            }
            Text::LastResult => {
                let messages = self.messages();
                let last = messages.iter().rfind(|message| message.role == "tool");
                split_words(&last.map(Message::text).unwrap_or_default())
            }
            Text::Roles => {
                let messages = self.messages();
                let roles: Vec<&str> =
                    messages.iter().map(|message| message.role.as_str()).collect();
                split_words(&format!("{} messages: {}", messages.len(), roles.join(" ")))
            }
        }
    }

    /// The reply as `plan` has it, to a request of `size` bytes.
    pub(super) fn reply(&self, plan: &Plan, size: usize, prepare: &Prepare) -> Script {
        let prepared = prepare.reply(self, plan);
        if self.stream {
            self.streamed(plan, size, &prepared)
        } else {
            self.whole(plan, size, &prepared)
        }
    }

    pub(super) fn has_result(&self) -> bool {
        self.messages().iter().any(|message| message.role == "tool")
    }

    /// A stream that calls the first tool; without one it calls `nothing`.
    pub(super) fn tool_call(&self, size: usize) -> Script {
        let tools: Value =
            self.tools.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let name = tools[0]["function"]["name"].as_str().unwrap_or("nothing");
        let plan = Plan::call();
        let mut prepared = Prepared::new(&self.model, &[], &plan);
        let mut stream = String::from_utf8_lossy(&prepared.stream).into_owned();
        for call in [
            json!({"index": 0, "id": "call_scripted", "type": "function",
                "function": {"name": name, "arguments": "{\"city\":"}}),
            json!({"index": 0, "function": {"arguments": " \"Oslo\"}"}}),
        ] {
            let choice =
                json!({"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": null});
            stream.extend([&*prepared.opening, &choice.to_string(), "]}\n\n"]);
        }
        prepared.ends = Arc::new([stream.len()]);
        prepared.stream = Bytes::from(stream);
        self.streamed(&plan, size, &prepared)
    }

    fn streamed(&self, plan: &Plan, size: usize, prepared: &Prepared) -> Script {
        let (tail, after) = match plan.ending {
            Ending::Stopped { by, .. } => by.ending(),
            Ending::Complete | Ending::WithoutDone => {
                let usage =
                    (plan.usage && self.stream_options.include_usage).then(|| prepared.usage(size));
                (prepared.tail(plan, usage.as_deref()), After::End)
            }
        };
        Script {
            text: prepared.stream.clone(),
            ends: Arc::clone(&prepared.ends),
            tail: Bytes::from(tail),
            first: plan.first,
            gap: plan.gap,
            after,
            length: None,
            stamped: matches!(plan.text, Text::Stamped(_)),
        }
    }

    fn whole(&self, plan: &Plan, size: usize, prepared: &Prepared) -> Script {
        let usage = if plan.usage {
            format!(r#","usage":{}"#, prepared.usage(size))
        } else {
            String::new()
        };
        let mut body = format!(
            r#"{{"id":"chatcmpl-scripted","object":"chat.completion","created":{CREATED},"model":{},"choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"{}"}}]{usage}}}"#,
            json!(self.model),
            prepared.content,
            plan.finish_reason,
        );
        let after = match plan.ending {
            Ending::Stopped { by: Trouble::Cut, .. } => After::Cut,
            Ending::Stopped { by: Trouble::Silence, .. } => After::Silence,
            Ending::Stopped { by: Trouble::ErrorEvent | Trouble::BadJson, .. } => {
                body.truncate(body.find(r#""choices""#).unwrap_or_default());
                After::End
            }
            Ending::Complete | Ending::WithoutDone => After::End,
        };
        let gaps = u32::try_from(prepared.count.saturating_sub(1)).unwrap_or(u32::MAX);
        Script::whole(Bytes::from(body), plan.first + plan.gap.saturating_mul(gaps), after)
    }
}

impl Message {
    /// The content, be it a string or a list of parts.
    fn text(&self) -> String {
        match &self.content {
            Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            content => content.as_str().unwrap_or_default().to_owned(),
        }
    }
}

impl Prepare {
    fn reply(&self, question: &Question<'_>, plan: &Plan) -> Arc<Prepared> {
        let write = || Arc::new(Prepared::new(&question.model, &question.words(plan.text), plan));
        if !plan.is_fixed() {
            return write();
        }
        let mut ready = locked(&self.ready);
        if let Some(prepared) = ready.get(&*question.model) {
            return Arc::clone(prepared);
        }
        let prepared = write();
        if ready.len() < MOST_PREPARED {
            ready.insert(question.model.clone().into_owned(), Arc::clone(&prepared));
        }
        prepared
    }
}

impl Prepared {
    fn new(model: &str, words: &[String], plan: &Plan) -> Self {
        let opening = format!(
            r#"data: {{"id":"chatcmpl-scripted","object":"chat.completion.chunk","created":{CREATED},"model":{},"choices":["#,
            json!(model)
        );
        let noisy = plan.dialect == Dialect::Noisy;
        let line_end = line_end(plan);
        let shown = match plan.ending {
            Ending::Stopped { after, .. } => after,
            Ending::Complete | Ending::WithoutDone => words.len(),
        };
        let mut stream = String::new();
        if noisy {
            stream.push_str(": a comment\r\nunknown: field\r\n");
            stream.push_str(&opening);
            stream.push_str("],\"prompt_filter_results\":[{\"prompt_index\":0}]}\r\n\r\n");
        }
        stream.push_str(&opening);
        stream.push_str(
            r#"{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
        );
        stream.push_str(line_end);
        let mut ends = Vec::with_capacity(shown);
        for word in &words[..shown] {
            stream.push_str(&opening);
            stream.push_str(r#"{"index":0,"delta":{"content":""#);
            push_escaped(&mut stream, word);
            stream.push_str(if noisy {
                r#"","reasoning_content":null,"x":[{}]},"logprobs":null,"finish_reason":null}],"x_nonce":{"a":[1,null]},"service_tier":"none"}"#
            } else {
                r#""},"finish_reason":null}]}"#
            });
            stream.push_str(line_end);
            ends.push(stream.len());
        }
        if plan.dialect == Dialect::SplitCharacters {
            ends = inside_characters(&stream);
        } else if plan.gap.is_zero() || ends.is_empty() {
            // Nothing to wait for: all in one write.
            ends = vec![stream.len()];
        }
        let mut content = String::new();
        for word in words {
            push_escaped(&mut content, word);
        }
        Self {
            opening,
            stream: Bytes::from(stream),
            ends: ends.into(),
            content,
            count: words.len(),
        }
    }

    fn tail(&self, plan: &Plan, usage: Option<&str>) -> String {
        let Self { opening, .. } = self;
        let line_end = line_end(plan);
        let reason = plan.finish_reason;
        let mut tail = format!(
            r#"{opening}{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]}}{line_end}"#
        );
        if let Some(usage) = usage {
            tail.extend([opening, r#"],"usage":"#, usage, "}", line_end]);
        }
        if plan.ending == Ending::Complete {
            tail.extend(["data: [DONE]", line_end]);
        }
        tail
    }

    /// A token is a word of the reply, or four bytes of the request.
    fn usage(&self, size: usize) -> String {
        let (prompt, completion) = (size / 4, self.count);
        let total = prompt + completion;
        format!(
            r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total}}}"#
        )
    }
}

impl Trouble {
    /// The last bytes of a stream in trouble, and what comes after them.
    fn ending(self) -> (String, After) {
        match self {
            Self::Silence => (String::new(), After::Silence),
            Self::Cut => (String::new(), After::Cut),
            Self::ErrorEvent => {
                let error = json!({"message": "The model broke down (scripted).", "type": "server_error", "code": null});
                (format!("data: {}\n\n", json!({"error": error})), After::End)
            }
            Self::BadJson => ("data: {\"choices\":[{\"delta\":\n\n".to_owned(), After::End),
        }
    }
}

fn line_end(plan: &Plan) -> &'static str {
    if plan.dialect == Dialect::Noisy { "\r\n\r\n" } else { "\n\n" }
}

fn split_words(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

/// Adds `text` as the inside of a JSON string.
fn push_escaped(json: &mut String, text: &str) {
    let quoted = Value::from(text).to_string();
    json.push_str(&quoted[1..quoted.len() - 1]);
}

/// One end after the first byte of every character that has more, and one after all.
fn inside_characters(text: &str) -> Vec<usize> {
    let long = text.char_indices().filter(|(_, character)| character.len_utf8() > 1);
    long.map(|(start, _)| start + 1).chain([text.len()]).collect()
}
