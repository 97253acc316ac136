//! A database for one server: the server makes it, and it goes with the test.

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

/// Where PostgreSQL is, unless `REPARTEE_TEST_POSTGRES` says otherwise.
const LOCAL_POSTGRES: &str = "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

#[derive(Debug)]
pub(super) struct TestDatabase {
    pub(super) url: String,
    created: Option<Created>,
}

/// On a PostgreSQL server, where nothing goes by itself.
#[derive(Debug)]
struct Created {
    maintenance: String,
    name: String,
}

impl TestDatabase {
    /// Names a database that is not there yet.
    pub(super) fn new(engine: Engine, directory: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        if engine == Engine::Sqlite {
            let url = format!("sqlite://{}?mode=rwc", directory.join("test.db").display());
            return Self { url, created: None };
        }
        let maintenance = maintenance_url();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("repartee_e2e_{}_{number}", std::process::id());
        let (server, rest) = maintenance.rsplit_once('/').unwrap_or((&maintenance, ""));
        let parameters = rest.find('?').map_or("", |at| &rest[at..]);
        let url = format!("{server}/{name}{parameters}");
        Self { url, created: Some(Created { maintenance, name }) }
    }
}

/// A connection to the server's database. Dropping it undoes what it has not committed.
#[derive(Debug)]
pub enum Held {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl TestDatabase {
    pub(super) async fn sql(&self, statements: &str) -> Result<Held> {
        let sql = AssertSqlSafe(statements.to_owned());
        if self.created.is_some() {
            let mut connection = PgConnection::connect(&self.url).await?;
            connection.execute(sql).await?;
            return Ok(Held::Postgres(connection));
        }
        let mut connection = SqliteConnection::connect(&self.url).await?;
        connection.execute(sql).await?;
        Ok(Held::Sqlite(connection))
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(created) = self.created.take() else { return };
        // A test may be in the middle of its own runtime, which must not be blocked on.
        let dropped = thread::spawn(move || created.drop_database()).join();
        let is_gone = matches!(dropped, Ok(Ok(())));
        // One panic at a time: the test's own says more.
        assert!(is_gone || thread::panicking(), "the test's database is still there: {dropped:?}");
    }
}

impl Created {
    fn drop_database(&self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let connection = PgConnection::connect(&self.maintenance).await;
            let mut connection = connection.context("PostgreSQL (REPARTEE_TEST_POSTGRES)")?;
            let sql = format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name);
            connection.execute(AssertSqlSafe(sql)).await?;
            Ok(connection.close().await?)
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration to read it from")]
fn maintenance_url() -> String {
    std::env::var("REPARTEE_TEST_POSTGRES").unwrap_or_else(|_| LOCAL_POSTGRES.to_owned())
}
