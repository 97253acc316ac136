//! HTTP in, use cases out.
//!
//! A handler extracts, calls one use case and answers. It decides nothing.

mod accounts;
mod api_keys;
mod app;
mod attachment;
mod audit;
mod auth;
mod body;
mod chat;
mod chats;
mod conversations;
mod cursor;
mod docs;
mod edge;
mod feeds;
mod files;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod health;
mod idempotency;
mod json;
mod limits;
mod messages;
mod models;
mod oauth;
mod openai;
mod pages;
mod personas;
mod problem;
mod projects;
mod query;
mod refusals;
mod replies;
mod request_id;
mod routes;
mod search;
mod sessions;
mod sharing;
mod sockets;
mod sse;
mod streams;
mod time;
mod transfer;
mod user_conversations;
mod visitor;

use problem::ApiError;

pub use app::{Services, app};
pub use docs::openapi;
pub use edge::{EdgeSettings, Hsts};
pub use replies::JsonEventEncoder;
pub use streams::{StreamCaps, Streams};
