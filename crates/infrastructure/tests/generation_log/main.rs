//! One contract suite for the logs of live events, run in memory, through Redis within a process,
//! and through Redis between two.
//!
//! `REPARTEE_TEST_REDIS` names a server; tests that stop theirs start one of their own, for which
//! `redis-server` has to be installed.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod bell;
mod contract;
mod limits;
mod logs;
mod queue;
mod replicas;
mod server;
mod trouble;
