//! What writes a reply needs of a model.

use thiserror::Error;

use super::{template::Template, vocabulary::Vocabulary};

/// A model that is loaded.
pub(crate) struct Engine {
    pub(crate) template: Template,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) weights: Box<dyn Weights>,
}

/// What a network has learnt. Shared by all replies.
pub(crate) trait Weights: Send + Sync {
    /// A fresh start for one reply.
    fn session(&self) -> Box<dyn Session>;
}

/// One text as far as the network has read it.
pub(crate) trait Session {
    /// Reads on. `tokens` are never none; the answer has a score for every token of the
    /// vocabulary that could follow. Blocks, and computes: called on a lane.
    fn read(&mut self, tokens: &[u32]) -> Result<Vec<f32>, EngineError>;
}

#[derive(Debug, Error)]
pub(crate) enum EngineError {
    #[error("the model cannot compute")]
    Compute(#[from] candle_core::Error),
    #[error("the model's tokenizer fails: {0}")]
    Tokenizer(tokenizers::Error),
    #[error("the model's chat template fails")]
    Template(#[from] minijinja::Error),
    #[error("the model lacks {0}")]
    Lacks(&'static str),
    #[error("the model panicked")]
    Panicked,
}
