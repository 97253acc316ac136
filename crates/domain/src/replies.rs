//! Replies being written.

mod context;
mod generation;
mod retry;
mod usage;

pub use context::{ContextWindow, Turn};
pub use generation::{Ended, Failure, FinishReason, Generation, GenerationState, Outcome, Written};
pub use retry::RetryPolicy;
pub use usage::{Cost, Price, Usage};
