//! The scripted upstream as a program of its own; `repartee_tests::upstream` lists its models.

use std::{
    io::{self, Write},
    net::SocketAddr,
};

use clap::Parser;
use repartee_tests::upstream::Upstream;

/// An OpenAI-compatible server whose replies go as the model's name says
#[derive(Debug, Parser)]
#[command(name = "scripted-upstream")]
struct Arguments {
    /// Port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
    /// Refuse whoever doesn't send it as a bearer token
    #[arg(long, value_name = "BEARER")]
    key: Option<String>,
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    threads: usize,
}

fn main() -> io::Result<()> {
    let Arguments { listen, key, threads } = Arguments::parse();
    let threads = threads.max(1);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?
        .block_on(async {
            // Kept requests are for tests in the same process; here nobody could look at them.
            let upstream = Upstream::bind(listen, key.as_deref(), 0).await?;
            // The benchmark reads the port from this line.
            writeln!(io::stdout(), "{}", upstream.base_url())?;
            std::future::pending().await
        })
}
