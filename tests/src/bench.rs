//! The benchmark: the server beside the upstream that it calls, in the same minutes on the same machine.
//!
//! A figure of its own says more about the machine than about the server, so each is paired with the same
//! question asked of the upstream directly; direct and through the server alternate, so that drift cancels out.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use tempfile::TempDir;

use self::{accounts::Registrar, process::Program};

mod accounts;
mod client;
mod drive;
mod fanout;
mod figures;
mod first_token;
mod logins;
mod process;
mod reply;
mod search;
mod start;
mod streams;
mod subscribers;
mod turns;
mod words;

/// However much goes wrong, it ends.
const LIMIT: Duration = Duration::from_hours(1);

/// Measures the server against the scripted upstream; the tables are Markdown
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub struct Options {
    /// Fewer and shorter rounds: a first impression in about 20 s
    #[arg(long)]
    quick: bool,
    /// Measure on this `postgres://` database, which should be an empty one, in place of an embedded one
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// Put this `redis://` server beside it
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    #[command(flatten)]
    load: subscribers::Load,
    /// Measure nothing else
    #[arg(long, value_enum, value_name = "NAME")]
    only: Option<Part>,
    /// The server's binary; by default the one beside this program
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Whole turns: rate, latency, processor time
    Turns,
    /// How much later the first token comes
    FirstToken,
    /// Memory, idle and with many open streams
    Streams,
    /// From starting to healthy
    Start,
    /// What every further reader of one reply costs
    Fanout,
    /// What many log-ins at once do to everybody else
    LogIns,
    /// Long streams and sockets at once: what is lost, and how late; only when it is asked for
    Subscribers,
    /// Finding something among 100,000 messages; only when it is asked for
    Search,
}

/// What every part has in common.
struct Site {
    options: Options,
    server: PathBuf,
    upstream_binary: PathBuf,
    upstream: Program,
    directory: TempDir,
}

/// Runs what `options` ask for, one table after the other.
pub async fn run(options: Options) -> Result<()> {
    tokio::time::timeout(LIMIT, measure(options))
        .await
        .context("the benchmark took longer than its limit")?
}

async fn measure(options: Options) -> Result<()> {
    let site = Site::open(options).await?;
    for part in Part::value_variants().iter().copied() {
        let wanted = site.options.only.map_or(!part.takes_long(), |only| only == part);
        if !wanted {
            continue;
        }
        let table = match part {
            Part::Turns => turns::measure(&site).await.context("turns")?,
            Part::FirstToken => first_token::measure(&site).await.context("first token")?,
            Part::Streams => streams::measure(&site).await.context("streams")?,
            Part::Start => start::measure(&site).await.context("start")?,
            Part::Fanout => fanout::measure(&site).await.context("fanout")?,
            Part::LogIns => logins::measure(&site).await.context("log-ins")?,
            Part::Subscribers => subscribers::measure(&site).await.context("subscribers")?,
            Part::Search => search::measure(&site).await.context("search")?,
        };
        writeln!(io::stdout(), "{table}")?;
    }
    Ok(())
}

impl Part {
    /// Not measured unless it is asked for.
    fn takes_long(self) -> bool {
        matches!(self, Self::Subscribers | Self::Search)
    }
}

impl Site {
    async fn open(options: Options) -> Result<Self> {
        let this = std::env::current_exe()?;
        let server = options.server.clone().unwrap_or_else(|| this.with_file_name("repartee"));
        ensure!(
            server.exists(),
            "there is no server at {}: scripts/bench builds it",
            server.display()
        );
        let upstream_binary = this.with_file_name("scripted-upstream");
        let upstream = Program::upstream(&upstream_binary).await?;
        let directory = tempfile::Builder::new().prefix("repartee-bench-").tempdir()?;
        Ok(Self { options, server, upstream_binary, upstream, directory })
    }

    /// A server whose directory is called `name`: a new one unless it was there before.
    async fn start_server(&self, name: &str) -> Result<Program> {
        let directory = self.directory.path().join(name);
        let postgres = self.options.postgres.as_deref();
        let redis = self.options.redis.as_deref();
        Program::server(&self.server, &directory, postgres, redis, self.upstream.address).await
    }

    fn registrar(&self, server: &Program, part: &str) -> Registrar {
        let run = self.directory.path().file_name().unwrap_or_default().to_string_lossy();
        let run = run.trim_start_matches("repartee-bench-");
        Registrar::new(server.address, &format!("{part}-{run}"))
    }

    /// The thorough value, or the quick one.
    fn scaled<T>(&self, thorough: T, quick: T) -> T {
        if self.options.quick { quick } else { thorough }
    }
}

/// Tells a person who waits how far it is.
fn progress(text: &str) {
    // Nobody has to listen.
    drop(writeln!(io::stderr(), "bench: {text}"));
}
