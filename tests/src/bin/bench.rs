//! The benchmark as a program; `scripts/bench` builds what it needs and runs it.

use anyhow::Result;
use clap::Parser;
use repartee_tests::bench::{self, Options};

/// One thread: what the load takes of the cores, the server can't have.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    bench::run(Options::parse()).await
}
