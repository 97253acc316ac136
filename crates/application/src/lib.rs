//! Use cases, and the ports they need.
//!
//! Everything a surface may ask for is a method of one of the services; everything a service asks
//! of the outside world is a trait in [`ports`].

pub mod accounts;
mod actor;
pub mod api_keys;
mod asking;
pub mod audit;
mod budgeting;
pub mod completions;
pub mod conversations;
mod error;
pub mod feeds;
pub mod files;
pub mod guests;
pub mod health;
pub mod housekeeping;
mod idempotency;
pub mod limits;
pub mod messages;
pub mod models;
pub mod oauth;
mod page;
mod permission;
pub mod personas;
pub mod ports;
pub mod projects;
pub mod prompts;
pub mod replies;
pub mod search;
pub mod sharing;
pub mod titles;
pub mod transfer;

pub use actor::{Actor, Credential, Origin};
pub use error::{AppError, ErrorKind};
pub use idempotency::IdempotencyKey;
pub use page::{Order, Page, PageRequest};
pub use permission::Permission;
