//! The audit log in the database.

mod chain;
mod list;
mod log;
mod personal;
mod record;

pub use self::{log::SeaAuditLog, record::SeaAuditRecorder};

pub(super) use self::record::record;
