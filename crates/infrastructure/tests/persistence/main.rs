//! One contract suite for the repositories, run against SQLite and PostgreSQL.
//!
//! `REPARTEE_TEST_POSTGRES` names a server on which databases may be created; each test has one of
//! its own, dropped afterwards.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod checkpoints;
mod conversations;
mod databases;
mod fixtures;
mod group_commit;
mod leases;
mod login_sessions;
mod messages;
mod schema;
mod turns;
mod users;
