//! An answer as a whole.

use futures::StreamExt;
use repartee_application::completions::{Completion, Piece};
use repartee_domain::replies::{FinishReason, Usage};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::ApiError;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CompletionBody {
    #[schema(example = "chatcmpl-01939c2e7b9a70008000000000000001")]
    id: String,
    /// `chat.completion`.
    object: &'static str,
    /// Seconds since 1970.
    created: i64,
    /// The model that answered.
    #[schema(example = "smart")]
    model: String,
    /// One.
    choices: [ChoiceBody; 1],
    usage: CompletionUsageBody,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChoiceBody {
    index: u32,
    message: AnswerBody,
    #[schema(value_type = Option<Object>)]
    logprobs: Option<()>,
    /// `stop`, `length`, `content_filter` or `tool_calls`.
    finish_reason: &'static str,
}

#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct AnswerBody {
    /// `assistant`.
    role: &'static str,
    /// Null where tools are called and nothing is said.
    content: Option<String>,
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    tool_calls: Vec<Value>,
}

/// What was used; counted here where the provider does not say it.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct CompletionUsageBody {
    #[serde(rename = "prompt_tokens")]
    prompt: u32,
    #[serde(rename = "completion_tokens")]
    completion: u32,
    #[serde(rename = "total_tokens")]
    total: u32,
}

impl From<Usage> for CompletionUsageBody {
    fn from(usage: Usage) -> Self {
        Self {
            prompt: usage.prompt_tokens,
            completion: usage.completion_tokens,
            total: usage.total_tokens(),
        }
    }
}

/// What a completion is called.
pub(super) fn name(completion: &Completion) -> String {
    format!("chatcmpl-{}", completion.id.simple())
}

/// Waits for all of it.
pub(super) async fn whole(mut completion: Completion) -> Result<CompletionBody, ApiError> {
    let mut message = Assembling::default();
    let (mut finish_reason, mut usage) = (FinishReason::Stop, Usage::default());
    while let Some(piece) = completion.pieces.next().await {
        match piece? {
            Piece::Text(text) => message.text.push_str(&text),
            Piece::Fields(fields) => message.add(&fields),
            Piece::Ended { reason, usage: used } => (finish_reason, usage) = (reason, used),
        }
    }
    Ok(CompletionBody {
        id: name(&completion),
        object: "chat.completion",
        created: completion.created_at.timestamp(),
        model: completion.model,
        choices: [ChoiceBody {
            index: 0,
            message: message.into_body(),
            logprobs: None,
            finish_reason: finish_reason.as_str(),
        }],
        usage: usage.into(),
    })
}

/// A message out of the pieces that it came in.
#[derive(Default)]
struct Assembling {
    text: String,
    refusal: Option<String>,
    /// By their numbers, in the order in which they began.
    calls: Vec<(u64, Map<String, Value>)>,
}

impl Assembling {
    fn add(&mut self, fields: &str) {
        let Ok(Value::Object(mut fields)) = serde_json::from_str(fields) else { return };
        if let Some(refusal) = fields.get("refusal").and_then(Value::as_str) {
            self.refusal.get_or_insert_default().push_str(refusal);
        }
        let Some(Value::Array(calls)) = fields.remove("tool_calls") else { return };
        for call in calls {
            let Value::Object(mut call) = call else { continue };
            let number = call.remove("index").and_then(|index| index.as_u64()).unwrap_or(0);
            match self.calls.iter_mut().find(|(known, _)| *known == number) {
                Some((_, begun)) => merge(begun, call),
                None => self.calls.push((number, call)),
            }
        }
    }

    fn into_body(self) -> AnswerBody {
        let says_nothing =
            self.text.is_empty() && (!self.calls.is_empty() || self.refusal.is_some());
        AnswerBody {
            role: "assistant",
            content: (!says_nothing).then_some(self.text),
            refusal: self.refusal,
            tool_calls: self.calls.into_iter().map(|(_, call)| Value::Object(call)).collect(),
        }
    }
}

/// As the SDKs do it: the arguments go on, whatever else comes stands for what was there.
fn merge(begun: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        match (begun.get_mut(&name), value) {
            (_, Value::Null) => {}
            (Some(Value::Object(begun)), Value::Object(more)) => merge(begun, more),
            (Some(Value::String(begun)), Value::String(more)) if name == "arguments" => {
                begun.push_str(&more);
            }
            (_, value) => {
                begun.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn assembled(text: &str, fields: &[Value]) -> Value {
        let mut message = Assembling { text: text.to_owned(), ..Assembling::default() };
        for fields in fields {
            message.add(&fields.to_string());
        }
        serde_json::to_value(message.into_body()).unwrap()
    }

    #[test]
    fn calls_of_tools_are_put_together_by_their_numbers() {
        let message = assembled(
            "",
            &[
                json!({"tool_calls": [{"index": 0, "id": "a", "type": "function",
                    "function": {"name": "add", "arguments": ""}}]}),
                json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"x\""}}]}),
                json!({"tool_calls": [{"index": 1, "id": "b", "type": "function",
                    "function": {"name": "now", "arguments": "{}"}}]}),
                json!({"tool_calls": [{"index": 0, "id": null, "function": {"arguments": ":1}"}}]}),
            ],
        );
        let expected = json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "add", "arguments": "{\"x\":1}"}},
            {"id": "b", "type": "function", "function": {"name": "now", "arguments": "{}"}},
        ]});
        assert_eq!(message, expected);
    }

    #[test]
    fn an_empty_answer_is_a_text_and_a_refusal_is_none() {
        assert_eq!(
            assembled("", &[]),
            json!({"role": "assistant", "content": "", "refusal": null})
        );
        let refusal = assembled("", &[json!({"refusal": "I can"}), json!({"refusal": "not."})]);
        assert_eq!(refusal["refusal"], "I cannot.");
        assert_eq!(refusal["content"], Value::Null);
    }
}
