//! `/v1`: what programs written against the OpenAI SDKs know their way around in.

pub(crate) mod chat;
pub(crate) mod embeddings;
mod errors;
mod fields;
pub(crate) mod models;

pub(crate) use self::errors::{OpenAiErrorBody, is_spoken, speak, status_of};

/// Whether a path is one of this surface: its errors have OpenAI's shape then.
pub(crate) fn is_of(path: &str) -> bool {
    path.strip_prefix("/v1").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
