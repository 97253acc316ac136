//! Models that run in the process, behind the ports of `repartee-application`.
//!
//! A fresh checkout answers with no key and no network. Everything that touches candle runs on
//! threads of its own (`lanes`); nothing here blocks the async runtime.

mod chat;
mod fetch;
mod lanes;

pub use chat::{CONTEXT_TOKENS, LocalChatModel, LocalModelSettings, MODEL_NAME};
pub use fetch::{FetchError, FetchEvent, fetch_models};
