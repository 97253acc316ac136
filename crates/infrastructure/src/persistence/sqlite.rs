//! The embedded database: one connection that writes, a few that read.

mod file_lock;
mod readers;
mod session;
mod statements;
mod writer;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sea_orm::{DatabaseConnection, SqlxSqliteConnector};
use sqlx::{
    ConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use self::file_lock::FileLock;
use super::database::DatabaseError;

pub(super) use self::{
    readers::Readers,
    session::Session,
    statements::{execute, execute_unprepared, joined, query_all, query_one},
    writer::Writer,
};

/// More readers than this only wait for each other.
const MAX_READERS: u32 = 4;
/// How long a connection waits for another one's lock, where it has to.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Rows on their way from the thread of a connection: a whole page, so that it never waits.
const ROWS_IN_FLIGHT: usize = 256;
/// Distinct statements that stay prepared on a connection: all that there are.
const PREPARED_STATEMENTS: usize = 256;

pub(super) struct Sqlite {
    options: SqliteConnectOptions,
    pub(super) writer: Arc<Writer>,
    /// Held while this process changes the schema: no other process has the file.
    pub(super) migrating: tokio::sync::Mutex<()>,
}

impl Sqlite {
    /// `sqlite:…` as sqlx reads it. Creates the file's folder where the file may be created.
    pub(super) async fn open(
        url: &str,
        max_connections: u32,
    ) -> Result<(Self, Readers), DatabaseError> {
        let options = options(url)?;
        let lock = match file(url, &options) {
            Some(path) => {
                create_folder(&path)?;
                Some(FileLock::beside(&path)?)
            }
            None => None,
        };
        let connection = options.connect().await.map_err(DatabaseError::connect)?;
        // What is written past the one writer would be refused as locked, now and then.
        let reading = options.clone().pragma("query_only", "ON");
        let readers = Readers::new(reading, max_connections.clamp(1, MAX_READERS) as usize);
        let writer = Writer::start(connection, lock).map_err(DatabaseError::connect)?;
        let migrating = tokio::sync::Mutex::new(());
        Ok((Self { options, writer: Arc::new(writer), migrating }, readers))
    }

    /// A connection of its own for changing the schema.
    pub(super) async fn migration_connection(&self) -> Result<DatabaseConnection, DatabaseError> {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(self.options.clone())
            .await
            .map_err(DatabaseError::connect)?;
        Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
    }
}

fn options(url: &str) -> Result<SqliteConnectOptions, DatabaseError> {
    let mut options: SqliteConnectOptions = url.parse().map_err(DatabaseError::connect)?;
    if !url.contains("mode=") {
        options = options.create_if_missing(true);
    }
    Ok(options
        .journal_mode(SqliteJournalMode::Wal)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        // What was acknowledged survives a power cut; group commit pays for it.
        .synchronous(SqliteSynchronous::Full)
        .row_buffer_size(ROWS_IN_FLIGHT)
        .statement_cache_capacity(PREPARED_STATEMENTS)
        .disable_statement_logging())
}

/// `None` for a database in memory, which sqlx gives a name that is not a file's.
fn file(url: &str, options: &SqliteConnectOptions) -> Option<PathBuf> {
    let (name, parameters) = url.split_once('?').unwrap_or((url, ""));
    let in_memory = name.ends_with(":memory:")
        || parameters.split('&').any(|parameter| parameter == "mode=memory");
    (!in_memory).then(|| options.get_filename().to_owned())
}

fn create_folder(database: &Path) -> Result<(), DatabaseError> {
    let Some(folder) = database.parent() else { return Ok(()) };
    fs::create_dir_all(folder)
        .map_err(|source| DatabaseError::File { path: folder.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use futures::future::try_join_all;
    use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

    use super::*;
    use crate::persistence::{Database, DatabaseSettings, connection::ReaderOf};

    const PRAGMAS: &str = "SELECT foreign_keys, synchronous, timeout, journal_mode \
        FROM pragma_foreign_keys, pragma_synchronous, pragma_busy_timeout, pragma_journal_mode";

    fn pragmas() -> Statement {
        Statement::from_string(DbBackend::Sqlite, PRAGMAS)
    }

    fn assert_in_force(row: Option<QueryResult>) {
        let row: (i64, i64, i64, String) = row
            .unwrap()
            .try_get_many(
                "",
                &["foreign_keys", "synchronous", "timeout", "journal_mode"].map(String::from),
            )
            .unwrap();
        assert_eq!(row, (1, 2, 5_000, "wal".into()));
    }

    async fn database(folder: &tempfile::TempDir) -> Database {
        let url = format!("sqlite://{}/chat.db?mode=rwc", folder.path().display());
        let settings = DatabaseSettings { url: url.into(), max_connections: 3 };
        Database::connect(&settings).await.unwrap()
    }

    #[tokio::test]
    async fn every_connection_keeps_what_was_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let db = database(&folder).await;

        let written = db.write(|tx| {
            Box::pin(async move {
                assert_in_force(tx.query_one_raw(pragmas()).await.unwrap());
                Ok(())
            })
        });
        written.await.unwrap();
        let ReaderOf::Sqlite(readers) = &db.reader().0 else { panic!("not SQLite") };
        // All of them at once, so that none is asked twice.
        let mut all = try_join_all((0..3).map(|_| readers.acquire())).await.unwrap();
        for connection in &mut all {
            assert_in_force(query_one(connection, pragmas()).await.unwrap());
        }
    }

    #[tokio::test]
    async fn nothing_is_written_past_the_one_writer() {
        let folder = tempfile::tempdir().unwrap();
        let db = database(&folder).await;

        let refused = db.reader().execute_unprepared("CREATE TABLE notes (id INTEGER)").await;

        assert!(matches!(refused, Err(DbErr::Exec(_))));
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_gives_its_connection_back() {
        let folder = tempfile::tempdir().unwrap();
        let db = database(&folder).await;
        let ReaderOf::Sqlite(readers) = &db.reader().0 else { panic!("not SQLite") };
        drop(try_join_all((0..3).map(|_| readers.acquire())).await.unwrap());
        let endless =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n";
        let endless = Statement::from_string(DbBackend::Sqlite, endless);

        for _ in 0..6 {
            let gone = futures::FutureExt::now_or_never(db.reader().query_all_raw(endless.clone()));
            assert!(gone.is_none());
        }

        db.ping().await.unwrap();
    }
}
