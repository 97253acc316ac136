//! The real binary, over HTTP, against a scripted model, on both databases.
//!
//! `REPARTEE_TEST_POSTGRES` names a server on which databases may be created; each test has one of
//! its own, dropped afterwards. The server has to be built: `cargo build -p repartee-server`.
#![cfg(test)]

mod commands;
mod configuration;
mod conventions;
mod crash;
mod identity;
mod logs;
mod pages;
mod shutdown;
mod support;
mod turns;
