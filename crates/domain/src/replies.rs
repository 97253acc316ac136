//! Replies being written.

mod circuit;
mod context;
mod generation;
mod retry;
mod usage;

pub use circuit::{Circuit, CircuitRules};
pub use context::{ContextWindow, Turn, framing_tokens};
pub use generation::{Ended, Failure, FinishReason, Generation, GenerationState, Outcome, Written};
pub use retry::RetryPolicy;
pub use usage::{Cost, Price, Usage};
