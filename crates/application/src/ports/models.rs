//! Models that write replies.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::stream::BoxStream;
use repartee_domain::replies::{FinishReason, Turn};
use thiserror::Error;

use super::Source;

/// What a model is asked. The shape is that of OpenAI's Chat Completions.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// The provider's own name of the model.
    pub model: String,
    /// System message first, where there is one; the question last.
    pub turns: Vec<Turn>,
    /// 0 to 2; `None` leaves it to the model.
    pub temperature: Option<f32>,
    /// The longest reply, in tokens; `None` leaves it to the model.
    pub max_tokens: Option<u32>,
    /// What a client said itself; `None` for the questions of conversations.
    pub passed: Option<Arc<PassedThrough>>,
}

/// A question in a client's own words. What this server has no meaning for reaches a provider of
/// OpenAI's Chat Completions as it came; a model that has no use for it refuses the question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassedThrough {
    /// The list of messages in JSON, in the place of the turns, which have their texts.
    pub messages: String,
    /// Whether the messages say more than their texts: pictures, calls of tools and their results.
    pub has_more_than_text: bool,
    /// Further fields of the request, and their values in JSON.
    pub fields: Vec<(&'static str, String)>,
}

/// What is to be put into vectors, in a client's own words. The shape is that of OpenAI's
/// Embeddings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingRequest {
    /// The provider's own name of the model.
    pub model: String,
    /// The fields of the request beside the model, and their values in JSON.
    pub fields: Vec<(&'static str, String)>,
}

/// Vectors, as a provider gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embeddings {
    /// The list of them in JSON.
    pub data: String,
    /// The provider's own count.
    pub prompt_tokens: Option<u32>,
}

/// A piece of a reply as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatChunk {
    /// Others are served first. Comes again whenever `position` changes; 1 is next.
    Queued { position: u32 },
    /// Never empty, and always whole characters.
    Text(String),
    /// Further fields of a piece as a JSON object, like `{"tool_calls": […]}`. Comes only where a
    /// question was passed through.
    Fields(String),
    /// The provider's own count. At most one counts: the last.
    Usage { prompt_tokens: u32, completion_tokens: u32 },
    /// Why the model stopped. Nothing but usage follows.
    Finished(FinishReason),
}

/// Dropping it aborts the request.
pub type ChatStream = BoxStream<'static, Result<ChatChunk, ModelError>>;

/// None of these ever holds a key or a provider's raw answer in its `Display`.
#[derive(Debug, Error)]
pub enum ModelError {
    /// Out of reach or overloaded: worth another try.
    #[error("the model is unavailable")]
    Unavailable {
        retry_after: Option<Duration>,
        #[source]
        source: Source,
    },
    /// It cannot be run here, however often it is asked: its files are missing, say.
    #[error("the model is not available: {reason}")]
    NotInstalled { reason: String },
    /// The provider asks to come back later (429).
    #[error("the model's provider limits the rate")]
    RateLimited { retry_after: Option<Duration> },
    /// The provider refuses this request, whoever asks how often (400, 401, 403, 422).
    #[error("the model's provider refused the request: {reason}")]
    Rejected { reason: String },
    /// The provider has no such model (404).
    #[error("the provider has no such model: {reason}")]
    UnknownModel { reason: String },
    /// The model has no use for a field that was passed through.
    #[error("the model does not support {parameter}")]
    Unsupported { parameter: &'static str },
    /// It writes, and puts nothing into vectors.
    #[error("the model makes no embeddings")]
    NoEmbeddings,
    /// The answer broke off or made no sense.
    #[error("the model's answer broke off")]
    Broken(#[source] Source),
}

/// What `/health` tells of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelStatus {
    Ready,
    /// Being loaded, or the last request failed.
    Degraded,
    Unavailable,
}

/// A provider: something that runs models.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// Asks a model. The time-outs are the caller's; a stream that ends without
    /// [`ChatChunk::Finished`] broke off.
    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, ModelError>;

    /// Puts texts into vectors. Dropping it aborts the request; the time-out is the caller's.
    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings, ModelError>;

    /// How many tokens each text has for this model. Not blocking: long texts are counted off the
    /// async threads.
    async fn count_tokens(&self, model: &str, texts: Vec<String>)
    -> Result<Vec<usize>, ModelError>;

    /// The provider's models by its own names, the one to use by default first.
    async fn models(&self) -> Result<Vec<String>, ModelError>;

    /// From what is known already: asks nobody.
    fn status(&self) -> ModelStatus;
}
