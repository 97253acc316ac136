//! `repartee`: reads the command line, and says in one line what went wrong.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use mimalloc::MiMalloc;
use repartee_server::{cli::Cli, commands};

// glibc keeps the 19 MiB that each hashing of a password takes; this gives them back.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[actix_web::main]
async fn main() -> ExitCode {
    let command = Cli::parse().command();
    // The one TLS provider. Only a second call fails.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match commands::run(command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "repartee: {}", one_line(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

/// An error with everything that caused it, each said once.
fn one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line.replace('\n', " ")
}
