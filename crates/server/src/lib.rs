//! The binary: configuration, wiring, subcommands.

mod accounts;
pub mod application;
mod auditing;
pub mod cli;
pub mod commands;
mod connection;
mod conversing;
mod database;
mod error;
mod filing;
mod ground;
mod identity;
mod live_log;
pub mod logging;
mod models;
mod serve;
pub mod settings;
mod shaping;
mod signing;
mod transferring;

pub use error::StartError;
