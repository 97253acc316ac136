//! `repartee`: reads the command line, and says in one line what went wrong.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use repartee_server::{cli::Cli, commands};

#[actix_web::main]
async fn main() -> ExitCode {
    let command = Cli::parse().command();
    // The one TLS provider. Only a second call fails.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match commands::run(command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "repartee: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
