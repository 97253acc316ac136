//! What the use cases ask of the outside world.
//!
//! A trait's documentation is its contract; the adapters' contract suites test what it says.

mod accounts;
mod conversations;
mod models;
mod replies;
mod system;

use thiserror::Error;

pub use accounts::*;
pub use conversations::*;
pub use models::*;
pub use replies::*;
pub use system::*;

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
