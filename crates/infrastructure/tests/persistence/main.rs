//! One contract suite for the repositories, run against SQLite and PostgreSQL.
//!
//! `REPARTEE_TEST_POSTGRES` names a server on which databases may be created; each test has one of
//! its own, dropped afterwards.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api_keys;
mod audit;
mod branches;
mod budgets;
mod cancels;
mod caps;
mod checkpoints;
mod conversations;
mod databases;
mod directory;
mod external_identities;
mod feeds;
mod files;
mod fixtures;
mod group_commit;
mod guests;
mod keys;
mod leases;
mod links;
mod locks;
mod login_failures;
mod login_sessions;
mod messages;
mod personas;
mod projects;
mod recorder;
mod refreshing;
mod schema;
mod search;
mod sharing;
mod storm;
mod tampering;
mod tickets;
mod transfer;
mod turns;
mod users;
mod watching;
