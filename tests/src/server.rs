//! The real server, as a process of its own, with a database and a model of its own.

mod client;
mod database;
mod events;
mod process;

use std::{
    collections::BTreeMap,
    process::{ExitStatus, Output},
    time::Duration,
};

use anyhow::Context;
use tempfile::TempDir;

pub use self::{
    client::{Answer, Client},
    database::Engine,
    events::{Event, Events},
};
use self::{database::TestDatabase, process::Process};
use crate::upstream::Upstream;

/// A command that doesn't end is a failure.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// How a server is to be started.
#[derive(Debug, Clone)]
pub struct Setup {
    engine: Engine,
    variables: BTreeMap<String, String>,
}

/// Everything there is besides the process, which may come and go.
#[derive(Debug)]
pub struct Site {
    variables: BTreeMap<String, String>,
    pub upstream: Upstream,
    // Dropped in this order, after the process.
    _database: TestDatabase,
    directory: TempDir,
}

/// A running server. Dropping it kills it and takes its data away.
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
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { engine, variables: variables.into() }
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
        for (name, value) in [
            ("DATABASE_URL", database.url.clone()),
            ("DATA_PATH", directory.path().display().to_string()),
            ("LLM_SERVICE_URL", upstream.base_url().to_owned()),
        ] {
            variables.entry(name.to_owned()).or_insert(value);
        }
        Site { variables, upstream, _database: database, directory }
    }

    pub async fn start(self) -> Server {
        Server::start(self.site().await).await
    }
}

impl Site {
    /// Runs `repartee` with `arguments` to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let output = async {
            let mut command = process::command(self.directory.path(), self.variables.clone())?;
            let output = tokio::time::timeout(COMMAND_LIMIT, command.args(arguments).output());
            output.await.context("it doesn't end")?.context("it doesn't start")
        };
        output.await.unwrap_or_else(|error| fail(&format!("repartee {arguments:?}"), &error))
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
        variables.entry("RUST_LOG".to_owned()).or_insert_with(|| "info".to_owned());
        let started = async {
            let process = Process::spawn(process::command(site.directory.path(), variables)?)?;
            let line = process.logs("listening on http://").await?;
            let at = line.find("http://").context("the line has an address")?;
            let url = line[at..].split([' ', '"']).next().unwrap_or_default().to_owned();
            Ok((process, url))
        };
        let (process, url) = started.await.unwrap_or_else(|error| fail("the server", &error));
        Client::new(&url).get("/health").await.expect(200);
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

/// A test cannot go on from here.
fn fail(what: &str, error: &anyhow::Error) -> ! {
    panic!("{what}: {error:#}")
}
