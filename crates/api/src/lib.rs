//! HTTP in, use cases out.
//!
//! A handler extracts, calls one use case and answers. It decides nothing.

mod accounts;
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

pub use docs::openapi;
pub use edge::{EdgeSettings, cors, security_headers};
pub use problem::ApiError;
pub use replies::JsonEventEncoder;
pub use request_id::request_context;
pub use routes::{RouteTable, routes};
