//! Redis servers: the one that all tests share, and those of a single test.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use redis::AsyncConnectionConfig;
use repartee_infrastructure::redis::Redis;
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::TcpStream,
    task::JoinSet,
    time::{interval, timeout},
};

/// For what should happen soon. A test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn soon<T>(asked: impl Future<Output = T>) -> T {
    timeout(PATIENCE, asked).await.expect("it should have happened long ago")
}

/// Asks until there is an answer.
pub(crate) async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    soon(async {
        let mut again = interval(Duration::from_millis(5));
        loop {
            again.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    })
    .await
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration to read it from")]
pub(crate) fn shared_url() -> String {
    std::env::var("REPARTEE_TEST_REDIS").unwrap_or_else(|_| "redis://127.0.0.1:6379".into())
}

/// A connection has a second to come about: where the machine is slow, it is tried again.
pub(crate) async fn connect(url: &str) -> Redis {
    let mut again = interval(Duration::from_millis(50));
    let mut tried = Redis::connect(&url.into()).await;
    for _ in 0..20 {
        if tried.is_ok() {
            break;
        }
        again.tick().await;
        tried = Redis::connect(&url.into()).await;
    }
    match tried {
        Ok(redis) => redis,
        Err(error) => panic!("{url} does not answer (REPARTEE_TEST_REDIS): {error}"),
    }
}

/// Below the range that the kernel gives to clients: none of them gets it while no server listens.
fn free_port() -> u16 {
    loop {
        let random = RandomState::new().build_hasher().finish() % 12_000;
        let port = 20_000 + u16::try_from(random).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A server of one's own, to be stopped and started.
pub(crate) struct Server {
    port: u16,
    folder: TempDir,
    process: Option<Child>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let mut this = Self { port: 0, folder: tempfile::tempdir().unwrap(), process: None };
        while !this.starts_at(free_port()).await {}
        this
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// With nothing in it.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.starts_at(self.port).await, "somebody has taken its port");
    }

    /// `false` where somebody else got the port first.
    async fn starts_at(&mut self, port: u16) -> bool {
        self.port = port;
        let process = Command::new("redis-server")
            .args([
                "--bind",
                "127.0.0.1",
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .arg("--dir")
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .spawn();
        let process = self.process.insert(process.expect("redis-server has to be installed"));
        let url = format!("redis://127.0.0.1:{port}");
        eventually(async || match process.try_wait().unwrap() {
            Some(_) => Some(false),
            None => Redis::connect(&url.as_str().into()).await.is_ok().then_some(true),
        })
        .await
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// It takes what is sent, and answers nothing.
    pub(crate) fn hang(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
    }

    /// Until so many clients wait for something to be added.
    pub(crate) async fn waits_for(&self, clients: usize) {
        let line = format!("blocked_clients:{clients}\r\n");
        eventually(async || {
            let told = self.command(&["INFO", "clients"]).await;
            let told: String = redis::from_redis_value(told).unwrap();
            told.contains(&line).then_some(())
        })
        .await;
    }

    /// Sends one command.
    pub(crate) async fn command(&self, words: &[&str]) -> redis::Value {
        command(&self.url(), words).await
    }
}

/// An address of servers that take turns. Who is connected stays with the server that it has.
pub(crate) struct Front {
    port: u16,
    server: Arc<AtomicU16>,
    _connections: JoinSet<()>,
}

impl Front {
    pub(crate) async fn of(server: &Server) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Arc::new(AtomicU16::new(server.port));
        let mut connections = JoinSet::new();
        let to = Arc::clone(&server);
        connections.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let port = to.load(Ordering::Relaxed);
                open.spawn(async move {
                    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    // Whichever of them goes away first.
                    drop(copy_bidirectional(&mut client, &mut server).await);
                });
            }
        });
        Self { port, server, _connections: connections }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn turn_to(&self, server: &Server) {
        self.server.store(server.port, Ordering::Relaxed);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) async fn command(url: &str, words: &[&str]) -> redis::Value {
    let client = redis::Client::open(url).unwrap();
    let patient = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let connection = client.get_multiplexed_async_connection_with_config(&patient).await;
    let mut connection = connection.unwrap();
    let (name, arguments) = words.split_first().unwrap();
    redis::cmd(name).arg(arguments).query_async(&mut connection).await.unwrap()
}
