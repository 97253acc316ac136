//! The real server, as a process of its own, with a database and a model of its own.

mod client;
mod database;
mod events;
mod feed;
mod process;
mod redis;
mod secrets;
mod socket;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{ExitStatus, Output},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::Context;
use tempfile::TempDir;
use tokio::time::{interval, timeout};

pub use self::{
    client::{Answer, Client},
    database::{Engine, Held},
    events::{Event, Events},
    feed::Feed,
    redis::Redis,
    socket::{Closed, Frame, Refused, Socket},
};
use self::{database::TestDatabase, process::Process};
use crate::upstream::Upstream;

/// A command that doesn't end is a failure.
const COMMAND_LIMIT: Duration = Duration::from_mins(2);
/// From the first line of the log to health.
const HEALTHY_WITHIN: Duration = Duration::from_mins(1);

/// Replicas know each other's tokens by it.
const SECRET: &str = "one secret for all of the replicas";

/// How a server is to be started.
#[derive(Debug, Clone)]
pub struct Setup {
    engine: Engine,
    redis: WhichRedis,
    variables: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy)]
enum WhichRedis {
    None,
    Shared,
    Own,
}

/// Everything there is besides the process, which may come and go. Clones are of the same.
#[derive(Debug, Clone)]
pub struct Site {
    variables: BTreeMap<String, String>,
    pub upstream: Arc<Upstream>,
    redis: Option<Arc<Redis>>,
    // Dropped in this order, after the process.
    database: Arc<TestDatabase>,
    directory: Arc<TempDir>,
}

/// A running server. Dropping it kills it and takes its data away, and panics where its log has a
/// secret in it.
#[derive(Debug)]
pub struct Server {
    process: Process,
    url: String,
    /// What processes before this one said.
    earlier_log: Vec<String>,
    pub site: Site,
}

impl Setup {
    pub fn on(engine: Engine) -> Self {
        let variables = [
            ("REPARTEE_ENV", "test"),
            ("HOST", "127.0.0.1"),
            ("PORT", "0"),
            ("OPENAI_MODEL", "mock-echo"),
            // One user stands for many, except where it is the limit that is tested.
            ("REPARTEE__LIMITS__CONCURRENT_GENERATIONS", "64"),
            ("REPARTEE__LIMITS__REQUESTS_PER_MINUTE", "0"),
            ("REPARTEE__LIMITS__REQUESTS_PER_HOUR", "0"),
            ("REPARTEE__LIMITS__LOGIN_PER_MINUTE", "0"),
            ("REPARTEE__LIMITS__REGISTER_PER_HOUR", "0"),
            ("REPARTEE__LIMITS__RESET_PER_HOUR", "0"),
            ("REPARTEE__LIMITS__UPLOADS_PER_MINUTE", "0"),
            ("REPARTEE__LIMITS__STREAMS_PER_USER", "0"),
            ("REPARTEE__LIMITS__STREAMS_PER_ADDRESS", "0"),
            ("REPARTEE__GUESTS__REQUESTS_PER_MINUTE", "0"),
            // Who counts what the model is asked does not mean these.
            ("REPARTEE__REPLIES__TITLES", "false"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { engine, redis: WhichRedis::None, variables: variables.into() }
    }

    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// With the Redis that all tests share: `REPARTEE_TEST_REDIS`, or the usual port of this machine.
    #[must_use]
    pub fn with_redis(mut self) -> Self {
        self.redis = WhichRedis::Shared;
        self
    }

    /// With a Redis that may be stopped.
    #[must_use]
    pub fn with_own_redis(mut self) -> Self {
        self.redis = WhichRedis::Own;
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Everything but the process.
    pub async fn site(self) -> Site {
        let directory = tempfile::Builder::new().prefix("repartee-e2e-").tempdir();
        let directory = directory.unwrap_or_else(|error| fail("a directory", &error.into()));
        let database = TestDatabase::new(self.engine, directory.path());
        let upstream = Upstream::start().await;
        let mut variables = self.variables;
        let mut redis = None;
        match self.redis {
            WhichRedis::None => {}
            WhichRedis::Shared => {
                variables.entry("REDIS_URL".to_owned()).or_insert_with(redis::shared_url);
            }
            WhichRedis::Own => {
                let own = Redis::start(directory.path()).await;
                let own = own.unwrap_or_else(|error| fail("a Redis of its own", &error));
                variables.entry("REDIS_URL".to_owned()).or_insert_with(|| own.url());
                redis = Some(Arc::new(own));
            }
        }
        for (name, value) in [
            ("DATABASE_URL", database.url.clone()),
            ("DATA_PATH", directory.path().display().to_string()),
            ("LLM_SERVICE_URL", upstream.base_url().to_owned()),
        ] {
            variables.entry(name.to_owned()).or_insert(value);
        }
        Site {
            variables,
            upstream: Arc::new(upstream),
            redis,
            database: Arc::new(database),
            directory: Arc::new(directory),
        }
    }

    pub async fn start(self) -> Server {
        Server::start(self.site().await).await
    }

    /// So many servers on one database, each with a port and a directory of its own.
    pub async fn replicas<const COUNT: usize>(self) -> [Server; COUNT] {
        let site = self.with("JWT_SECRET", SECRET).site().await;
        let started = (0..COUNT).map(|number| Server::start(site.replica(number)));
        let servers = futures::future::join_all(started).await;
        servers.try_into().unwrap_or_else(|_| unreachable!("as many as were started"))
    }
}

impl Site {
    /// Runs `repartee` with `arguments` to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let output = async {
            let mut command = process::command(self.directory.path(), self.variables.clone())?;
            let output = timeout(COMMAND_LIMIT, command.args(arguments).output());
            output.await.context("it doesn't end")?.context("it doesn't start")
        };
        output.await.unwrap_or_else(|error| fail(&format!("repartee {arguments:?}"), &error))
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Beside the server, with its database: what a statement changes, and what `held` locks for as
    /// long as it lives.
    pub async fn sql(&self, statements: &str) -> Held {
        let held = self.database.sql(statements).await;
        held.unwrap_or_else(|error| fail(statements, &error))
    }

    fn replica(&self, number: usize) -> Self {
        let mut site = self.clone();
        let directory = self.directory.path().join(format!("replica-{number}"));
        site.set("DATA_PATH", &directory.display().to_string());
        site
    }

    /// The Redis of its own.
    ///
    /// # Panics
    /// Where the setup didn't ask for one.
    pub fn redis(&self) -> &Redis {
        self.redis.as_deref().unwrap_or_else(|| panic!("there is no Redis that may be stopped"))
    }

    /// Changes the environment of whatever starts from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }
}

impl Server {
    /// # Panics
    /// Where it doesn't get healthy: no test can go on from there.
    pub async fn start(site: Site) -> Self {
        let (process, url) = Self::spawn(&site).await;
        Self { process, url, earlier_log: Vec::new(), site }
    }

    async fn spawn(site: &Site) -> (Process, String) {
        let mut variables = site.variables.clone();
        // The line with the port is one of information.
        for (name, value) in &variables {
            secrets::note_variable(name, value);
        }
        variables.entry("RUST_LOG".to_owned()).or_insert_with(|| "info".to_owned());
        let started = async {
            let process = Process::spawn(process::command(site.directory.path(), variables)?)?;
            let line = process.logs("listening on http://").await?;
            let at = line.find("http://").context("the line has an address")?;
            let url = line[at..].split([' ', '"']).next().unwrap_or_default().to_owned();
            Ok((process, url))
        };
        let (process, url) = started.await.unwrap_or_else(|error| fail("the server", &error));
        // Each part has a second to answer: where the machine is slow, it is asked again.
        let client = Client::new(&url);
        let mut ticks = interval(Duration::from_millis(50));
        let healthy = async {
            while client.get("/health").await.status != 200 {
                ticks.tick().await;
            }
        };
        let is_healthy = timeout(HEALTHY_WITHIN, healthy).await.is_ok();
        assert!(is_healthy, "the server isn't healthy; its log:\n{}", process.log().join("\n"));
        (process, url)
    }

    /// Somebody without a token.
    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    pub fn upstream(&self) -> &Upstream {
        &self.site.upstream
    }

    /// All lines of all processes so far.
    pub fn log(&self) -> Vec<String> {
        [self.earlier_log.clone(), self.process.log()].concat()
    }

    /// Waits for a line of this process with `text` in it.
    pub async fn logs(&self, text: &str) -> String {
        self.process.logs(text).await.unwrap_or_else(|error| fail("the log", &error))
    }

    /// Resident memory, in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.process.resident_kib().unwrap_or_else(|error| fail("/proc", &error))
    }

    /// How many TCP connections of its clients the process has open.
    pub fn connections(&self) -> usize {
        let port = self.url.rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| fail("its port", &anyhow::anyhow!("{}", self.url)));
        self.process.connections(port).unwrap_or_else(|error| fail("/proc", &error))
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        self.process.kill().await.unwrap_or_else(|error| fail("kill", &error));
    }

    /// SIGTERM, without waiting for what comes of it.
    pub async fn terminate(&self) {
        self.process.terminate().await.unwrap_or_else(|error| fail("SIGTERM", &error));
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        self.process.ended().await.unwrap_or_else(|error| fail("the end", &error))
    }

    /// Starts another process on the same data; the one before is killed, where it still runs.
    pub async fn restart(&mut self) {
        self.kill().await;
        self.earlier_log.extend(self.process.log());
        (self.process, self.url) = Self::spawn(&self.site).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One panic at a time: the test's own says more.
        if !thread::panicking() {
            secrets::refuse_in(&self.log());
        }
    }
}

/// A test cannot go on from here.
fn fail(what: &str, error: &anyhow::Error) -> ! {
    panic!("{what}: {error:#}")
}
