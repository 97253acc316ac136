//! What the use cases ask of the outside world.
//!
//! A trait's documentation is its contract; the adapters' contract suites test what it says.

mod accounts;
mod api_keys;
mod audit;
mod budgets;
mod conversations;
mod external;
mod feeds;
mod files;
mod generation_log;
mod guessing;
mod guests;
mod idempotency;
mod limits;
mod mail;
mod models;
mod personas;
mod projects;
mod replies;
mod search;
mod sharing;
mod system;
mod transfer;
mod users;

use thiserror::Error;

pub use accounts::*;
pub use api_keys::*;
pub use audit::*;
pub use budgets::*;
pub use conversations::*;
pub use external::*;
pub use feeds::*;
pub use files::*;
pub use generation_log::*;
pub use guessing::*;
pub use guests::*;
pub use idempotency::*;
pub use limits::*;
pub use mail::*;
pub use models::*;
pub use personas::*;
pub use projects::*;
pub use replies::*;
pub use search::*;
pub use sharing::*;
pub use system::*;
pub use transfer::*;
pub use users::*;

pub type Source = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Error)]
pub enum PortError {
    /// Somebody else wrote the row since it was read, or it is gone.
    #[error("written by someone else since it was read")]
    Stale,
    /// Another row holds the same value in a field that is unique.
    #[error("{field} is taken")]
    Taken { field: &'static str },
    #[error("dependency unavailable")]
    Unavailable(#[source] Source),
    #[error("stored data breaks an invariant")]
    Corrupt(#[source] Source),
}
