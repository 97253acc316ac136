//! HTTP in, use cases out.
//!
//! A handler extracts, calls one use case and answers. It decides nothing.

mod accounts;
mod app;
mod auth;
mod body;
mod conversations;
mod cursor;
mod docs;
mod edge;
mod health;
mod messages;
mod pages;
mod problem;
mod replies;
mod request_id;
mod routes;
mod time;

use problem::ApiError;

pub use app::{Services, app};
pub use docs::openapi;
pub use edge::EdgeSettings;
pub use replies::JsonEventEncoder;
