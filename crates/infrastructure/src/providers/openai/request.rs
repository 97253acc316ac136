//! What a provider is asked.

use std::collections::BTreeMap;

use bytes::Bytes;
use repartee_application::ports::{ChatRequest, EmbeddingRequest};
use repartee_domain::replies::Turn;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::dialect::Dialect;

/// The body of `POST /chat/completions` (OpenAI API reference, "Create chat completion").
#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Messages<'a>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    /// What a client said itself.
    #[serde(flatten)]
    passed: BTreeMap<&'static str, &'a RawValue>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Messages<'a> {
    #[serde(serialize_with = "messages")]
    Turns(&'a [Turn]),
    /// As a client put them.
    Passed(&'a RawValue),
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

/// The body of `POST /embeddings` (OpenAI API reference, "Create embeddings").
#[derive(Serialize)]
struct EmbeddingBody<'a> {
    model: &'a str,
    #[serde(flatten)]
    passed: BTreeMap<&'static str, &'a RawValue>,
}

pub(super) fn embedding(request: &EmbeddingRequest) -> Result<Bytes, serde_json::Error> {
    let body = EmbeddingBody { model: &request.model, passed: passed(&request.fields)? };
    serde_json::to_vec(&body).map(Bytes::from)
}

pub(super) fn body(request: &ChatRequest, dialect: Dialect) -> Result<Bytes, serde_json::Error> {
    let (messages, passed) = match &request.passed {
        None => (Messages::Turns(&request.turns), BTreeMap::new()),
        Some(question) => {
            let messages = serde_json::from_str(&question.messages)?;
            (Messages::Passed(messages), passed(&question.fields)?)
        }
    };
    let limit_if = |wanted: bool| request.max_tokens.filter(|_| wanted);
    let body = Body {
        model: &request.model,
        messages,
        stream: true,
        stream_options: dialect.asks_for_usage.then_some(StreamOptions { include_usage: true }),
        temperature: request.temperature,
        max_tokens: limit_if(!dialect.limits_completion),
        max_completion_tokens: limit_if(dialect.limits_completion),
        passed,
    };
    serde_json::to_vec(&body).map(Bytes::from)
}

fn passed<'a>(
    fields: &'a [(&'static str, String)],
) -> Result<BTreeMap<&'static str, &'a RawValue>, serde_json::Error> {
    fields.iter().map(|(name, value)| Ok((*name, serde_json::from_str(value)?))).collect()
}

fn messages<S: Serializer>(turns: &[Turn], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(
        turns.iter().map(|turn| Message { role: turn.role.as_str(), content: &turn.content }),
    )
}
