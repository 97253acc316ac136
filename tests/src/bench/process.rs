//! The programs that are measured, as processes of their own.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use hyper::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::client::{Call, Client};

/// Linux counts a process's time in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);
const START_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_secs(40);

pub(super) struct Program {
    child: Child,
    pub(super) address: SocketAddr,
    /// From spawning it to its first healthy answer.
    pub(super) started_in: Duration,
}

impl Program {
    pub(super) async fn upstream(binary: &Path) -> Result<Self> {
        let spawned = Instant::now();
        let mut child = Command::new(binary)
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} doesn't start", binary.display()))?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("the upstream has no output")?;
        let mut program = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            started_in: Duration::ZERO,
        };
        BufReader::new(stdout).read_line(&mut line)?;
        let address =
            line.trim().strip_prefix("http://").context("the upstream didn't tell its address")?;
        program.address = address.parse()?;
        program.wait_until_healthy(spawned).await?;
        Ok(program)
    }

    /// Starts the server with `directory` as its own, and with no other environment than this.
    pub(super) async fn server(
        binary: &Path,
        directory: &Path,
        postgres: Option<&str>,
        redis: Option<&str>,
        upstream: SocketAddr,
    ) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let address = free_address()?;
        let embedded = format!("sqlite://{}?mode=rwc", directory.join("bench.db").display());
        let log =
            fs::File::options().create(true).append(true).open(directory.join("server.log"))?;
        let spawned = Instant::now();
        let child = Command::new(binary)
            .env_clear()
            .env("HOST", address.ip().to_string())
            .env("PORT", address.port().to_string())
            .env("DATABASE_URL", postgres.unwrap_or(&embedded))
            .env("DATA_PATH", directory)
            .env("LLM_SERVICE_URL", format!("http://{upstream}"))
            .env("OPENAI_MODEL", "mock-64-20")
            .env("REPARTEE_ENV", "test")
            .env("RUST_LOG", "warn")
            .env("REDIS_URL", redis.unwrap_or_default())
            // A user of the benchmark stands for many.
            .env("REPARTEE__LIMITS__CONCURRENT_GENERATIONS", "64")
            .env("REPARTEE__LIMITS__TOTAL_GENERATIONS", "1000000")
            // Counted, as in production, and never too many.
            .env("REPARTEE__LIMITS__REQUESTS_PER_MINUTE", "100000")
            .env("REPARTEE__LIMITS__REQUESTS_PER_HOUR", "1000000")
            .env("REPARTEE__LIMITS__LOGIN_PER_MINUTE", "1000000")
            .env("REPARTEE__LIMITS__REGISTER_PER_HOUR", "1000000")
            .env("REPARTEE__LIMITS__STREAMS_PER_USER", "0")
            .env("REPARTEE__LIMITS__STREAMS_PER_ADDRESS", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} doesn't start", binary.display()))?;
        let mut program = Self { child, address, started_in: Duration::ZERO };
        program.wait_until_healthy(spawned).await.with_context(|| {
            let log = fs::read_to_string(directory.join("server.log")).unwrap_or_default();
            format!("the server doesn't get healthy; its log:\n{log}")
        })?;
        Ok(program)
    }

    async fn wait_until_healthy(&mut self, spawned: Instant) -> Result<()> {
        let health = Call::new(Method::GET, "/health", None, &Value::Null)?;
        while spawned.elapsed() < START_LIMIT {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            if Client::new(self.address).json(&health).await.is_ok() {
                self.started_in = spawned.elapsed();
                return Ok(());
            }
            sleep(Duration::from_millis(1)).await;
        }
        bail!("no healthy answer within {START_LIMIT:?}")
    }

    /// User and system time since its start.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name of the program may hold anything, so the fields are counted from its end.
        let fields = stat.rsplit_once(')').context("/proc has no statistics")?.1;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
        Ok(TICK * ticks.sum::<Result<u32, _>>()?)
    }

    /// Resident memory in MiB.
    pub(super) fn resident_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line
            .and_then(|line| line.split_whitespace().next())
            .context("/proc has no memory figure")?;
        Ok(kib.parse::<f64>()? / 1024.0)
    }

    /// Asks it to end, as an operator would, so that the next start finds a clean database.
    pub(super) async fn stop(mut self) -> Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        let asked = Instant::now();
        while asked.elapsed() < STOP_LIMIT {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            sleep(Duration::from_millis(5)).await;
        }
        bail!("the server didn't end within {STOP_LIMIT:?} of SIGTERM")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Ended already, most likely; and nothing is left to be done about it otherwise.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}
