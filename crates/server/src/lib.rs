//! The binary: configuration, wiring, subcommands.

pub mod application;
pub mod cli;
pub mod commands;
mod database;
mod error;
pub mod logging;
mod models;
mod serve;
pub mod settings;

pub use error::StartError;
