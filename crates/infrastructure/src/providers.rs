//! Providers of models.

mod openai;
mod tokens;

pub use openai::{InvalidSettings, OpenAiChatModel, OpenAiSettings};
