//! A Redis that a test may stop in the middle of things.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    sync::Mutex,
    time::{interval, timeout},
};

use super::fail;

/// Where Redis is, unless `REPARTEE_TEST_REDIS` says otherwise.
const LOCAL: &str = "redis://127.0.0.1:6379";
const PATIENCE: Duration = Duration::from_mins(1);

/// A process of its own on a port of its own; killed when it is dropped.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    directory: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Redis {
    pub(super) async fn start(directory: &Path) -> Result<Self> {
        match Self::at(free_port()?, directory).await {
            // Somebody else got the port first.
            Err(_) => Self::at(free_port()?, directory).await,
            started => started,
        }
    }

    async fn at(port: u16, directory: &Path) -> Result<Self> {
        let redis = Self { port, directory: directory.to_owned(), child: Mutex::new(None) };
        redis.spawn().await?;
        Ok(redis)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// SIGKILL; all that it held is gone.
    pub async fn stop(&self) {
        if let Some(mut child) = self.child.lock().await.take() {
            let killed = child.kill().await;
            killed.unwrap_or_else(|error| fail("Redis doesn't die", &error.into()));
        }
    }

    /// An empty one on the same port.
    pub async fn start_again(&self) {
        self.spawn().await.unwrap_or_else(|error| fail("Redis doesn't come back", &error));
    }

    async fn spawn(&self) -> Result<()> {
        let port = self.port.to_string();
        let mut child = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("redis-server has to be installed for the tests that stop it")?;
        let mut ticks = interval(Duration::from_millis(10));
        let ready = async {
            loop {
                ensure!(child.try_wait()?.is_none(), "redis-server ends at once");
                if self.ping().await.is_ok() {
                    return Ok(());
                }
                ticks.tick().await;
            }
        };
        timeout(PATIENCE, ready).await.context("redis-server doesn't answer")??;
        *self.child.lock().await = Some(child);
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        if &answer == b"+PONG" { Ok(()) } else { bail!("it answers otherwise") }
    }
}

/// Below the range that the kernel gives to clients: none of them gets it while no server listens.
fn free_port() -> Result<u16> {
    loop {
        let random = RandomState::new().build_hasher().finish() % 12_000;
        let port = 20_000 + u16::try_from(random)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration to read it from")]
pub(super) fn shared_url() -> String {
    std::env::var("REPARTEE_TEST_REDIS").unwrap_or_else(|_| LOCAL.to_owned())
}
