//! Use cases, and the ports they need.
//!
//! Everything a surface may ask for is a method of one of the services; everything a service asks
//! of the outside world is a trait in [`ports`].

pub mod accounts;
mod actor;
pub mod conversations;
mod error;
pub mod health;
pub mod messages;
pub mod models;
mod page;
pub mod ports;
pub mod replies;

pub use actor::Actor;
pub use error::{AppError, ErrorKind};
pub use page::{Order, Page, PageRequest};
