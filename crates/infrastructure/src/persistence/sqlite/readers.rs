//! The connections that read.

use std::ops::{Deref, DerefMut};

use futures::lock::{MappedMutexGuard, Mutex, MutexGuard};
use sea_orm::{DbErr, RuntimeErr};
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A few connections, each used by one statement at a time.
///
/// They never go stale, for there is no network, and a statement whose reader goes away is reset
/// by the connection's own thread: giving one back takes nothing. Each is opened when as many are
/// needed at once.
pub(in crate::persistence) struct Readers {
    options: Box<SqliteConnectOptions>,
    connections: Vec<Mutex<Option<SqliteConnection>>>,
    free: Semaphore,
}

/// A connection that is given back when this is dropped.
pub(in crate::persistence) struct Borrowed<'a> {
    // Dropped first: whoever gets the permit finds a connection unlocked.
    connection: MappedMutexGuard<'a, Option<SqliteConnection>, SqliteConnection>,
    _permit: SemaphorePermit<'a>,
}

impl Readers {
    pub(super) fn new(options: SqliteConnectOptions, count: usize) -> Self {
        let connections = (0..count).map(|_| Mutex::new(None)).collect();
        Self { options: options.into(), connections, free: Semaphore::new(count) }
    }

    /// Waits for a free connection.
    pub(in crate::persistence) async fn acquire(&self) -> Result<Borrowed<'_>, DbErr> {
        let permit = self.free.acquire().await.map_err(|_| closed())?;
        // The first that is free: those that are open come before those that are not.
        let mut free = self.connections.iter().find_map(Mutex::try_lock).ok_or_else(closed)?;
        let connection = match free.take() {
            Some(connection) => connection,
            None => self.options.connect().await.map_err(unreachable)?,
        };
        let connection = MutexGuard::map(free, |free| free.insert(connection));
        Ok(Borrowed { connection, _permit: permit })
    }

    /// Lets nobody read any more.
    pub(in crate::persistence) fn close(&self) {
        self.free.close();
    }
}

impl Deref for Borrowed<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Borrowed<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

fn unreachable(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}

fn closed() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal("the database is closed".into()))
}
