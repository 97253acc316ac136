//! What a provider answers, as far as it matters here. Whatever else is there is passed over.

use std::{fmt, marker::PhantomData};

use repartee_domain::replies::FinishReason;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};

/// A piece of a completion, or the whole of one: they differ in where the text stands.
#[derive(Debug, Deserialize)]
pub(super) struct Completion {
    pub(super) choices: Option<First<Choice>>,
    pub(super) usage: Option<Usage>,
    /// Anything but `null` means that something went wrong.
    pub(super) error: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    delta: Option<Said>,
    message: Option<Said>,
    finish_reason: Option<Finish>,
}

#[derive(Debug, Deserialize)]
struct Said {
    content: Option<Content>,
    tool_calls: Option<Box<RawValue>>,
    refusal: Option<Box<RawValue>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Usage {
    pub(super) prompt_tokens: Option<u32>,
    pub(super) completion_tokens: Option<u32>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ModelList {
    pub(super) data: Vec<Model>,
}

#[derive(Debug, Deserialize)]
pub(super) struct EmbeddingList<'a> {
    /// Passed on as it came.
    #[serde(borrow)]
    pub(super) data: &'a RawValue,
    pub(super) usage: Option<Usage>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Model {
    pub(super) id: String,
}

/// The first of a list, for one choice is all that is ever asked for.
#[derive(Debug)]
pub(super) struct First<T>(pub(super) Option<T>);

#[derive(Debug)]
struct Content(String);

/// `None` for an empty text, which some servers send with every piece.
#[derive(Debug)]
struct Finish(Option<FinishReason>);

impl Choice {
    /// What is said beside the text, as the fields of a piece: a JSON object.
    pub(super) fn fields(&self) -> Option<String> {
        let said = self.delta.as_ref().or(self.message.as_ref())?;
        let is_whole = self.delta.is_none();
        let tool_calls = said.tool_calls.as_ref().map(|calls| {
            let calls = calls.get();
            if is_whole { numbered(calls) } else { calls.to_owned() }
        });
        let refusal = said.refusal.as_ref().map(|refusal| refusal.get().to_owned());
        let fields: Vec<_> = [("tool_calls", tool_calls), ("refusal", refusal)]
            .into_iter()
            .filter_map(|(name, value)| Some(format!("\"{name}\":{}", value?)))
            .collect();
        (!fields.is_empty()).then(|| format!("{{{}}}", fields.join(",")))
    }

    /// Text, which may be empty, and why it ended.
    pub(super) fn take(self) -> (String, Option<FinishReason>) {
        let said = self.delta.or(self.message);
        let text = said.and_then(|said| said.content).map_or_else(String::new, |content| content.0);
        (text, self.finish_reason.and_then(|finish| finish.0))
    }
}

/// A whole answer's calls of tools as a stream's, where each says which one it is.
fn numbered(calls: &str) -> String {
    let Ok(mut list) = serde_json::from_str::<Vec<Map<String, Value>>>(calls) else {
        return calls.to_owned();
    };
    for (number, call) in list.iter_mut().enumerate() {
        call.entry("index").or_insert(number.into());
    }
    serde_json::to_string(&list).unwrap_or_else(|_| calls.to_owned())
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FirstVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for FirstVisitor<T> {
            type Value = First<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<First<T>, A::Error> {
                let first = list.next_element()?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(first))
            }
        }

        deserializer.deserialize_seq(FirstVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;

        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of parts")
            }

            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content(text.to_owned()))
            }

            /// Parts, as some servers send them; those without a text are pictures or thoughts.
            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Content, A::Error> {
                #[derive(Deserialize)]
                struct Part {
                    text: Option<String>,
                }

                let mut whole = String::new();
                while let Some(part) = parts.next_element::<Part>()? {
                    whole.push_str(part.text.as_deref().unwrap_or_default());
                }
                Ok(Content(whole))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Content(String::new()))
            }
        }

        deserializer.deserialize_any(ContentVisitor)
    }
}

impl<'de> Deserialize<'de> for Finish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FinishVisitor;

        impl Visitor<'_> for FinishVisitor {
            type Value = Finish;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a finish reason")
            }

            fn visit_str<E>(self, name: &str) -> Result<Finish, E> {
                Ok(Finish(match name {
                    "" => None,
                    "length" | "max_tokens" => Some(FinishReason::Length),
                    "content_filter" => Some(FinishReason::ContentFilter),
                    "tool_calls" | "function_call" => Some(FinishReason::ToolCalls),
                    // "stop", and what others call it: "eos", "end_turn", "stop_sequence" …
                    _ => Some(FinishReason::Stop),
                }))
            }
        }

        deserializer.deserialize_str(FinishVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(json: &str) -> (String, Option<FinishReason>) {
        serde_json::from_str::<Completion>(json).unwrap().choices.unwrap().0.unwrap().take()
    }

    #[test]
    fn text_may_be_missing_empty_null_or_in_parts() {
        for (delta, text) in [
            (r#"{"role":"assistant"}"#, ""),
            (r#"{"content":""}"#, ""),
            (r#"{"content":null,"reasoning_content":"hm"}"#, ""),
            ("null", ""),
            (r#"{"content":"a\n\u00e9"}"#, "a\né"),
            (r#"{"content":[{"type":"thinking"},{"type":"text","text":"a"},{"text":"b"}]}"#, "ab"),
            (r#"{"content":{"unheard":["of"]}}"#, ""),
        ] {
            let json = format!(r#"{{"choices":[{{"index":0,"delta":{delta},"logprobs":null}}]}}"#);
            assert_eq!(first(&json), (text.to_owned(), None), "{delta}");
        }
    }

    #[test]
    fn any_unknown_reason_means_that_the_model_stopped() {
        for (reason, meant) in [
            (r#""stop""#, Some(FinishReason::Stop)),
            (r#""eos""#, Some(FinishReason::Stop)),
            (r#""length""#, Some(FinishReason::Length)),
            (r#""content_filter""#, Some(FinishReason::ContentFilter)),
            (r#""tool_calls""#, Some(FinishReason::ToolCalls)),
            (r#""""#, None),
            ("null", None),
        ] {
            let json = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":{reason}}},{{}}]}}"#);
            assert_eq!(first(&json).1, meant, "{reason}");
        }
    }

    #[test]
    fn usage_needs_no_details_and_choices_may_be_missing() {
        let json = r#"{"choices":null,"usage":{"prompt_tokens":7,"total_tokens":9}}"#;
        let completion: Completion = serde_json::from_str(json).unwrap();
        let usage = completion.usage.unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (Some(7), None));
        assert!(completion.choices.is_none());
        assert!(serde_json::from_str::<Completion>("{}").unwrap().usage.is_none());
    }
}
