//! A connection to the database that the settings name, whichever of the two it is.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::BoxFuture;
use repartee_application::ports::{DatabaseProbe, PortError, Source, Watched};
use repartee_domain::UserId;
use repartee_migration::{MigrationStatus, Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TransactionTrait};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::{
    bell::Bell,
    connection::{Reader, ReaderOf, Transaction, TransactionOf},
    error::database,
    login_sessions::Endings,
    postgres::Postgres,
    sqlite::Sqlite,
};
use crate::within::within;

/// A database that does not answer within this is unavailable.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `sqlite://path?mode=rwc`, `sqlite::memory:` or `postgres://…`; it may hold a password.
    pub url: SecretString,
    /// PostgreSQL: connections in the pool. SQLite: connections that read, 4 at most.
    pub max_connections: u32,
}

/// Why the server cannot start. None of the texts holds the URL.
#[derive(Debug, Error)]
pub enum DatabaseError {
    #[error("the database URL must begin with sqlite: or postgres:")]
    UnknownScheme,
    #[error("the database {} is in use by another process", path.display())]
    InUse { path: PathBuf },
    #[error("cannot use {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot connect to the database")]
    Connect(#[source] Source),
    #[error("cannot migrate the database")]
    Migrate(#[source] DbErr),
}

/// A step of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    pub name: String,
    pub is_applied: bool,
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down { steps: u32 },
}

/// Cheap to clone: clones share the connections.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    reader: Reader,
    bell: Bell,
    endings: Endings,
    kind: Kind,
}

enum Kind {
    Sqlite(Sqlite),
    Postgres { server: Postgres, pool: DatabaseConnection },
}

impl Database {
    pub async fn connect(settings: &DatabaseSettings) -> Result<Self, DatabaseError> {
        let url = settings.url.expose_secret();
        let (reader, kind) = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => {
                let (sqlite, readers) = Sqlite::open(url, settings.max_connections).await?;
                (Reader(ReaderOf::Sqlite(readers)), Kind::Sqlite(sqlite))
            }
            Some("postgres" | "postgresql") => {
                let (server, pool) = Postgres::open(url, settings.max_connections).await?;
                let reader = Reader(ReaderOf::Postgres(pool.clone()));
                (reader, Kind::Postgres { server, pool })
            }
            _ => return Err(DatabaseError::UnknownScheme),
        };
        Ok(Self(Arc::new(Inner {
            reader,
            bell: Bell::default(),
            endings: Endings::default(),
            kind,
        })))
    }

    /// Whether no other process can use this database.
    pub fn is_single_process(&self) -> bool {
        matches!(self.0.kind, Kind::Sqlite(_))
    }

    /// What was committed.
    pub fn reader(&self) -> &Reader {
        &self.0.reader
    }

    /// Runs `work` in a transaction and answers once that is committed, or undone where `work`
    /// fails. On SQLite it is done even if the caller goes away meanwhile, and `work` shares its
    /// commit with others: it should wait for nothing but the transaction.
    pub async fn write<F, T>(&self, work: F) -> Result<T, PortError>
    where
        F: for<'t> FnOnce(&'t Transaction) -> BoxFuture<'t, Result<T, PortError>> + Send + 'static,
        T: Send + 'static,
    {
        match &self.0.kind {
            Kind::Sqlite(sqlite) => sqlite.writer.write(work, || ()).await,
            Kind::Postgres { pool, .. } => write_to(pool, work).await,
        }
    }

    /// As [`Database::write`], for `work` that tells a user's feed: who watches that is woken once
    /// it is committed. On SQLite even if the caller went away, for nobody else would do it.
    pub(super) async fn write_telling<F, T>(
        &self,
        owner: UserId,
        what: Watched,
        work: F,
    ) -> Result<T, PortError>
    where
        F: for<'t> FnOnce(&'t Transaction) -> BoxFuture<'t, Result<T, PortError>> + Send + 'static,
        T: Send + 'static,
    {
        match &self.0.kind {
            Kind::Sqlite(sqlite) => {
                let this = self.clone();
                sqlite.writer.write(work, move || this.announce(owner, what)).await
            }
            Kind::Postgres { pool, .. } => {
                let written = write_to(pool, work).await;
                if written.is_ok() {
                    self.announce(owner, what);
                }
                written
            }
        }
    }

    fn announce(&self, owner: UserId, what: Watched) {
        if what == Watched::SessionEnds {
            // Before anybody is woken: whoever looks then must not see what was remembered.
            self.0.endings.count();
        }
        self.0.bell.announce(owner, what);
    }

    pub(super) fn endings(&self) -> &Endings {
        &self.0.endings
    }

    /// Rings when a user's feed was told something.
    pub fn bell(&self) -> &Bell {
        &self.0.bell
    }

    /// Applies what is pending. Several processes may do so at once: each step is applied once.
    pub async fn migrate_up(&self) -> Result<(), DatabaseError> {
        self.migrate(Direction::Up).await
    }

    /// Takes back the newest `steps`, with everything that is in their tables.
    pub async fn migrate_down(&self, steps: u32) -> Result<(), DatabaseError> {
        self.migrate(Direction::Down { steps }).await
    }

    /// Every step, in order. Changes nothing.
    pub async fn migration_status(&self) -> Result<Vec<Migration>, DatabaseError> {
        let steps = Migrator::get_migration_with_status_read_only(self.reader())
            .await
            .map_err(DatabaseError::Migrate)?;
        Ok(steps
            .iter()
            .map(|step| Migration {
                name: step.name().to_owned(),
                is_applied: step.status() == MigrationStatus::Applied,
            })
            .collect())
    }

    /// Whether the database answers, now.
    pub async fn ping(&self) -> Result<(), PortError> {
        let ping = self.reader().execute_unprepared("SELECT 1");
        match within(PING_TIMEOUT, ping).await {
            Ok(answer) => answer.map(drop).map_err(database),
            Err(elapsed) => Err(PortError::Unavailable(elapsed.into())),
        }
    }

    /// Finishes the writes that wait and takes no more.
    pub async fn close(&self) -> Result<(), PortError> {
        if let Kind::Sqlite(sqlite) = &self.0.kind {
            let writer = sqlite.writer.clone();
            tokio::task::spawn_blocking(move || writer.close())
                .await
                .map_err(|error| PortError::Unavailable(error.into()))?;
        }
        self.reader().close().await.map_err(database)
    }

    async fn migrate(&self, direction: Direction) -> Result<(), DatabaseError> {
        match &self.0.kind {
            Kind::Sqlite(sqlite) => {
                let _held = sqlite.migrating.lock().await;
                let connection = sqlite.migration_connection().await?;
                let migrated = direction.run(&connection).await;
                connection.close().await.map_err(DatabaseError::Migrate)?;
                migrated
            }
            Kind::Postgres { server, pool } => {
                let lock = server.lock_migrations().await?;
                let migrated = direction.run(pool).await;
                lock.release().await?;
                migrated
            }
        }
    }
}

impl Direction {
    async fn run(self, connection: &DatabaseConnection) -> Result<(), DatabaseError> {
        self.run_in(connection).await.map_err(DatabaseError::Migrate)
    }

    /// In one transaction, which is one sync to the disk.
    async fn run_in(self, connection: &DatabaseConnection) -> Result<(), DbErr> {
        let transaction = connection.begin().await?;
        match self {
            Self::Up => Migrator::up(&transaction, None).await?,
            Self::Down { steps } => Migrator::down(&transaction, Some(steps)).await?,
        }
        transaction.commit().await
    }
}

impl DatabaseError {
    pub(super) fn connect(error: impl Into<Source>) -> Self {
        Self::Connect(error.into())
    }
}

#[async_trait]
impl DatabaseProbe for Database {
    async fn is_reachable(&self) -> bool {
        self.ping().await.is_ok()
    }
}

/// The caller's own task does the work: a panic or a caller that goes away drops the transaction,
/// which undoes it.
async fn write_to<F, T>(pool: &DatabaseConnection, work: F) -> Result<T, PortError>
where
    F: for<'t> FnOnce(&'t Transaction) -> BoxFuture<'t, Result<T, PortError>>,
{
    let transaction = Transaction(TransactionOf::Postgres(pool.begin().await.map_err(database)?));
    let result = work(&transaction).await;
    if let TransactionOf::Postgres(transaction) = transaction.0 {
        match &result {
            Ok(_) => transaction.commit().await.map_err(database)?,
            // Undone even where the server cannot be told: what matters is why.
            Err(_) => drop(transaction.rollback().await),
        }
    }
    result
}
