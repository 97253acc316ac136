//! What a provider is asked.

use bytes::Bytes;
use repartee_application::ports::ChatRequest;
use serde::{Serialize, Serializer};

use super::dialect::Dialect;

/// The body of `POST /chat/completions` (OpenAI API reference, "Create chat completion").
#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(serialize_with = "messages")]
    messages: &'a ChatRequest,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

pub(super) fn body(request: &ChatRequest, dialect: Dialect) -> Result<Bytes, serde_json::Error> {
    let limit_if = |wanted: bool| request.max_tokens.filter(|_| wanted);
    let body = Body {
        model: &request.model,
        messages: request,
        stream: true,
        stream_options: dialect.asks_for_usage.then_some(StreamOptions { include_usage: true }),
        temperature: request.temperature,
        max_tokens: limit_if(!dialect.limits_completion),
        max_completion_tokens: limit_if(dialect.limits_completion),
    };
    serde_json::to_vec(&body).map(Bytes::from)
}

fn messages<S: Serializer>(request: &ChatRequest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(
        request
            .turns
            .iter()
            .map(|turn| Message { role: turn.role.as_str(), content: &turn.content }),
    )
}
