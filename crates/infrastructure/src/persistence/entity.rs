//! Table rows. They never leave this crate.

pub(super) mod api_key;
pub(super) mod audit_anchor;
pub(super) mod audit_log;
pub(super) mod checkpoint;
pub(super) mod conversation;
pub(super) mod doomed_object;
pub(super) mod external_identity;
pub(super) mod feed;
pub(super) mod feed_event;
pub(super) mod file;
pub(super) mod generation;
pub(super) mod idempotency_key;
pub(super) mod login_failure;
pub(super) mod login_session;
pub(super) mod message;
pub(super) mod message_feedback;
pub(super) mod persona;
pub(super) mod project;
pub(super) mod project_member;
pub(super) mod prompt;
pub(super) mod prompt_version;
pub(super) mod shared_link;
pub(super) mod single_use_secret;
pub(super) mod subject_key;
pub(super) mod user;
