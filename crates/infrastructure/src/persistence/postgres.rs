//! The database for more than one process.

use std::time::Duration;

use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use sqlx::{
    ConnectOptions as _, Connection, Executor, PgConnection,
    postgres::{PgConnectOptions, PgDatabaseError},
};

use super::database::DatabaseError;

/// How long somebody waits for a connection before the database counts as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was used just now is not tested before it is used again.
const TEST_AFTER_IDLE: Duration = Duration::from_secs(10);
/// Held by the process that changes the schema. Any number, as long as it stays the same.
const MIGRATION_LOCK: i64 = 0x7265_7061_7274_6565;

const INVALID_CATALOG_NAME: &str = "3D000";
const DUPLICATE_DATABASE: &str = "42P04";
const UNIQUE_VIOLATION: &str = "23505";

pub(super) struct Postgres {
    options: PgConnectOptions,
}

/// Changing the schema is this connection's until it is closed, on whatever replica.
pub(super) struct MigrationLock(PgConnection);

impl Postgres {
    /// Creates the database where it is missing and the role may do so.
    pub(super) async fn open(
        url: &str,
        max_connections: u32,
    ) -> Result<(Self, DatabaseConnection), DatabaseError> {
        let options: PgConnectOptions = url.parse().map_err(DatabaseError::connect)?;
        let options = options.disable_statement_logging();
        match options.connect().await {
            Ok(connection) => connection.close().await.map_err(DatabaseError::connect)?,
            Err(error) if has_code(&error, &[INVALID_CATALOG_NAME]) => create(&options).await?,
            Err(error) => return Err(DatabaseError::connect(error)),
        }
        let mut pool = ConnectOptions::new(url);
        pool.max_connections(max_connections.max(1))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire_if_idle_for(TEST_AFTER_IDLE)
            .sqlx_logging(false);
        let pool = Database::connect(pool).await.map_err(DatabaseError::connect)?;
        Ok((Self { options }, pool))
    }

    /// Waits for other replicas that are changing the schema.
    pub(super) async fn lock_migrations(&self) -> Result<MigrationLock, DatabaseError> {
        let mut connection = self.options.connect().await.map_err(DatabaseError::connect)?;
        sqlx::query("SELECT pg_advisory_lock($1)")
            .bind(MIGRATION_LOCK)
            .execute(&mut connection)
            .await
            .map_err(DatabaseError::connect)?;
        Ok(MigrationLock(connection))
    }
}

impl MigrationLock {
    /// The server lets go of the lock with the connection, also where this is never called.
    pub(super) async fn release(self) -> Result<(), DatabaseError> {
        self.0.close().await.map_err(DatabaseError::connect)
    }
}

async fn create(options: &PgConnectOptions) -> Result<(), DatabaseError> {
    let name = options.get_database().unwrap_or_else(|| options.get_username());
    let maintenance = options.clone().database("postgres");
    let mut connection = maintenance.connect().await.map_err(DatabaseError::connect)?;
    let statement = format!("CREATE DATABASE {}", quoted(name));
    match connection.execute(sqlx::AssertSqlSafe(statement)).await {
        Ok(_) => tracing::info!(database = name, "created the database"),
        // Another replica was faster: the loser learns it before or after the name is taken.
        Err(error) if has_code(&error, &[DUPLICATE_DATABASE, UNIQUE_VIOLATION]) => {}
        Err(error) => return Err(DatabaseError::connect(error)),
    }
    connection.close().await.map_err(DatabaseError::connect)
}

/// An identifier as PostgreSQL's lexical rules quote it (SQL, 4.1.1).
fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        .is_some_and(|error| codes.contains(&error.code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_out_of_its_quotes() {
        assert_eq!(quoted(r#"chat"; DROP TABLE users; --"#), r#""chat""; DROP TABLE users; --""#);
    }
}
