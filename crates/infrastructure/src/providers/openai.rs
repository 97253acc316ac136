//! Any server that speaks OpenAI's Chat Completions: OpenAI itself, vLLM, Ollama, llama.cpp …
//!
//! Strict in what it sends and lenient in what it reads: fields that are missing, unknown or
//! `null` change nothing.

mod client;
mod dialect;
mod errors;
mod health;
mod key;
mod reply;
mod request;
mod sse;
mod wire;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use repartee_application::ports::{
    ChatModel, ChatRequest, ChatStream, Clock, EmbeddingRequest, Embeddings, ModelError,
    ModelStatus,
};
use secrecy::SecretString;
use thiserror::Error;
use tokio::sync::OnceCell;

use self::client::Client;
use super::tokens;

/// Where a provider is and how to reach it.
#[derive(Debug, Clone)]
pub struct OpenAiSettings {
    /// With or without `/v1`.
    pub base_url: String,
    /// Sent as a bearer token; many local servers want none.
    pub api_key: Option<SecretString>,
    /// By the provider's own name. Without one the first of its models is taken.
    pub default_model: Option<String>,
    /// For the connection alone; how long an answer may take is the caller's to say.
    pub connect_timeout: Duration,
}

/// Why there can be no client. Holds neither the address nor the key.
#[derive(Debug, Error)]
pub enum InvalidSettings {
    #[error("the base URL must be an http or https address without user, query or fragment")]
    BaseUrl,
    #[error("the API key has characters that no HTTP header can hold")]
    ApiKey,
    #[error("no TLS client can be set up")]
    Tls(#[source] reqwest::Error),
}

/// A provider behind OpenAI's Chat Completions API.
pub struct OpenAiChatModel {
    client: Client,
    default_model: Option<String>,
    models: OnceCell<Vec<String>>,
}

impl OpenAiChatModel {
    /// Connects to nobody yet. One instance has one pool of connections: make one per provider.
    /// The clock is what a `Retry-After` date is compared with.
    ///
    /// # Errors
    /// When the settings cannot be used, whoever answers there.
    pub fn new(settings: OpenAiSettings, clock: Arc<dyn Clock>) -> Result<Self, InvalidSettings> {
        let default_model = settings.default_model.clone();
        let client = Client::new(settings, clock)?;
        Ok(Self { client, default_model, models: OnceCell::new() })
    }
}

#[async_trait]
impl ChatModel for OpenAiChatModel {
    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, ModelError> {
        self.client.stream(&request).await
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings, ModelError> {
        self.client.embed(&request).await
    }

    async fn count_tokens(
        &self,
        model: &str,
        texts: Vec<String>,
    ) -> Result<Vec<usize>, ModelError> {
        tokens::count(model, texts).await
    }

    async fn models(&self) -> Result<Vec<String>, ModelError> {
        if let Some(model) = &self.default_model {
            return Ok(vec![model.clone()]);
        }
        self.models.get_or_try_init(|| self.client.models()).await.cloned()
    }

    fn status(&self) -> ModelStatus {
        self.client.status()
    }
}

#[cfg(test)]
mod tests;
