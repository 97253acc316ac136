//! Table rows. They never leave this crate.

pub(super) mod checkpoint;
pub(super) mod conversation;
pub(super) mod generation;
pub(super) mod login_session;
pub(super) mod message;
pub(super) mod user;
