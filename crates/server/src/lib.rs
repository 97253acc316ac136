//! The binary: configuration, wiring, subcommands.

pub mod cli;
pub mod logging;
pub mod settings;
