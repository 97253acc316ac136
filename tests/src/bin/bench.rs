//! The benchmark as a program; `scripts/bench` builds what it needs and runs it.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use repartee_tests::bench::{self, Options};

/// One thread: what the load takes of the cores, the server can't have.
#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<ExitCode> {
    let Err(error) = bench::run(Options::parse()).await else {
        return Ok(ExitCode::SUCCESS);
    };
    // What went wrong and where, in one line; a backtrace would say nothing more.
    writeln!(io::stderr(), "bench: {error:#}")?;
    Ok(ExitCode::FAILURE)
}
