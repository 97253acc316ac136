//! The real binary, over HTTP, against a scripted model, on both databases.
//!
//! `REPARTEE_TEST_POSTGRES` names a server on which databases may be created; each test has one of
//! its own, dropped afterwards. The server has to be built: `cargo build -p repartee-server`.
#![cfg(test)]

mod audit;
mod budgets;
mod cancel;
mod circuit;
mod clients;
mod commands;
mod configuration;
mod conventions;
mod crash;
mod draining;
mod endings;
mod feeds;
mod files;
mod guests;
mod idempotency;
mod identity;
mod imports;
mod interrupted;
mod limits;
mod logs;
mod openai;
mod pages;
mod personas;
mod projects;
mod rate_limits;
mod readers;
mod replicas;
mod resume;
mod search;
mod sharing;
mod shutdown;
mod sockets;
mod support;
mod titles;
mod transfer;
mod turns;
mod usage;
