//! What is asked: understood as far as it has a meaning here, and passed through besides.

use repartee_application::{completions::NewCompletion, ports::PassedThrough};
use repartee_domain::{messages::MessageRole, replies::Turn};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{
    ApiError,
    body::parse_json,
    openai::fields::{Raw, fields, text_or_object, text_or_texts},
    problem::FieldProblem,
};

/// Fields that are not here are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(title = "NewCompletionBody")]
pub(crate) struct NewCompletionBody {
    /// One of `/v1/models`.
    #[schema(example = "smart", min_length = 1, max_length = 200)]
    model: String,
    /// `system`, `developer`, `user`, `assistant` and `tool` messages; `content` is a text or a list
    /// of parts.
    #[schema(value_type = Vec<Object>, min_items = 1, example = json!([{"role": "user", "content": "Which tea keeps me awake?"}]))]
    messages: Box<RawValue>,
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f32>,
    /// The longest answer, in tokens.
    #[schema(minimum = 1)]
    max_completion_tokens: Option<u32>,
    /// The older name of `max_completion_tokens`.
    #[schema(minimum = 1)]
    max_tokens: Option<u32>,
    /// 1.
    #[schema(minimum = 1, maximum = 1)]
    n: Option<u32>,
    stream: Option<bool>,
    stream_options: Option<StreamOptionsBody>,
    /// False: nothing is stored.
    store: Option<bool>,
    /// False: not supported yet.
    logprobs: Option<bool>,
    #[schema(value_type = Option<f64>)]
    top_p: Raw,
    #[schema(value_type = Option<f64>)]
    presence_penalty: Raw,
    #[schema(value_type = Option<f64>)]
    frequency_penalty: Raw,
    #[schema(value_type = Option<i64>)]
    seed: Raw,
    /// A text or a list of texts.
    #[schema(schema_with = text_or_texts)]
    stop: Raw,
    #[schema(value_type = Option<String>)]
    user: Raw,
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Raw,
    /// `none`, `auto`, `required`, or an object that names one.
    #[schema(schema_with = text_or_object)]
    tool_choice: Raw,
    #[schema(value_type = Option<bool>)]
    parallel_tool_calls: Raw,
    #[schema(value_type = Option<Object>)]
    response_format: Raw,
    #[schema(value_type = Option<Object>)]
    logit_bias: Raw,
    #[schema(value_type = Option<String>)]
    reasoning_effort: Raw,
    /// Not supported: use `tools`.
    #[serde(default, deserialize_with = "is_there")]
    #[schema(value_type = Option<Object>)]
    functions: bool,
    /// Not supported: answers are texts.
    #[serde(default, deserialize_with = "is_there")]
    #[schema(value_type = Option<Object>)]
    audio: bool,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
pub(crate) struct StreamOptionsBody {
    /// Tells what was used in a last chunk without choices.
    include_usage: Option<bool>,
}

/// How an answer is streamed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streaming {
    pub(super) tells_usage: bool,
}

#[derive(Debug, Deserialize)]
struct MessageBody {
    role: RoleBody,
    content: Option<ContentBody>,
    tool_calls: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RoleBody {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "must be a text or a list of parts, each with a type")]
enum ContentBody {
    Text(String),
    Parts(Vec<PartBody>),
}

#[derive(Debug, Deserialize)]
struct PartBody {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

impl NewCompletionBody {
    /// `None` where the answer is wanted whole.
    pub(super) fn stream(&self) -> Option<Streaming> {
        let options = self.stream_options.unwrap_or_default();
        let streaming = Streaming { tells_usage: options.include_usage.unwrap_or(false) };
        self.stream.unwrap_or(false).then_some(streaming)
    }

    /// Says that something is not there rather than to leave it out.
    fn refuse_unsupported(&self) -> Result<(), ApiError> {
        let refused = [
            ("n", self.n.is_some_and(|n| n != 1), "one answer is all there is: leave it out"),
            ("store", self.store == Some(true), "storing completions is not supported yet"),
            ("logprobs", self.logprobs == Some(true), "probabilities are not supported yet"),
            ("functions", self.functions, "use tools"),
            ("audio", self.audio, "answers are texts"),
        ];
        let refused = refused.into_iter().filter(|(_, is_asked, _)| *is_asked);
        let problems: Vec<_> = refused
            .map(|(field, _, detail)| FieldProblem::new(field, "unsupported_parameter", detail))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(ApiError::InvalidFields(problems)) }
    }
}

impl TryFrom<NewCompletionBody> for NewCompletion {
    type Error = ApiError;

    fn try_from(body: NewCompletionBody) -> Result<Self, ApiError> {
        body.refuse_unsupported()?;
        let messages = messages(&body.messages)?;
        let parts = || messages.iter().flat_map(MessageBody::parts);
        let is_more =
            |message: &MessageBody| message.tool_calls.is_some() || message.role == RoleBody::Tool;
        let has_more_than_text =
            messages.iter().any(is_more) || parts().any(|part| part.kind != "text");
        let fields = fields([
            ("top_p", body.top_p),
            ("presence_penalty", body.presence_penalty),
            ("frequency_penalty", body.frequency_penalty),
            ("seed", body.seed),
            ("stop", body.stop),
            ("user", body.user),
            ("tools", body.tools),
            ("tool_choice", body.tool_choice),
            ("parallel_tool_calls", body.parallel_tool_calls),
            ("response_format", body.response_format),
            ("logit_bias", body.logit_bias),
            ("reasoning_effort", body.reasoning_effort),
        ])?;
        Ok(Self {
            model: body.model,
            pictures: parts().filter(|part| part.kind == "image_url").count(),
            turns: messages.iter().map(MessageBody::turn).collect(),
            temperature: body.temperature,
            max_tokens: body.max_completion_tokens.or(body.max_tokens),
            passed: Some(PassedThrough {
                messages: body.messages.get().to_owned(),
                has_more_than_text,
                fields,
            }),
            is_aside: false,
        })
    }
}

impl MessageBody {
    fn parts(&self) -> &[PartBody] {
        match &self.content {
            Some(ContentBody::Parts(parts)) => parts,
            Some(ContentBody::Text(_)) | None => &[],
        }
    }

    fn turn(&self) -> Turn {
        let role = match self.role {
            RoleBody::System | RoleBody::Developer => MessageRole::System,
            RoleBody::User => MessageRole::User,
            RoleBody::Assistant => MessageRole::Assistant,
            RoleBody::Tool => MessageRole::Tool,
        };
        let content = match &self.content {
            Some(ContentBody::Text(text)) => text.clone(),
            Some(ContentBody::Parts(parts)) => {
                parts.iter().filter_map(|part| part.text.as_deref()).collect()
            }
            None => String::new(),
        };
        Turn { role, content }
    }
}

fn messages(raw: &RawValue) -> Result<Vec<MessageBody>, ApiError> {
    let messages: Vec<MessageBody> =
        parse_json(raw.get().as_bytes()).map_err(|error| match error {
            ApiError::InvalidFields(fields) => {
                ApiError::InvalidFields(fields.into_iter().map(in_messages).collect())
            }
            error => error,
        })?;
    if messages.is_empty() {
        return Err(ApiError::invalid("messages", "required", "there must be one at least"));
    }
    // Only who calls tools says nothing.
    let is_silent =
        |message: &MessageBody| message.content.is_none() && message.role != RoleBody::Assistant;
    if let Some(silent) = messages.iter().position(is_silent) {
        let field = format!("messages[{silent}].content");
        return Err(ApiError::invalid(&field, "required", "must be given"));
    }
    Ok(messages)
}

fn in_messages(problem: FieldProblem) -> FieldProblem {
    let within = if problem.field == "." { String::new() } else { problem.field };
    FieldProblem { field: format!("messages{within}"), ..problem }
}

fn is_there<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<IgnoredAny>::deserialize(deserializer)?.is_some())
}

#[cfg(test)]
mod tests;
