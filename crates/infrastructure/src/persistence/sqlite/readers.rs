//! The connections that read.

use std::ops::{Deref, DerefMut};

use futures::lock::{Mutex, MutexGuard};
use sea_orm::{DbErr, RuntimeErr};
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A few connections, each used by one statement at a time.
///
/// They never go stale, for there is no network, and a statement whose reader goes away is reset
/// by the connection's own thread: giving one back takes nothing.
pub(in crate::persistence) struct Readers {
    connections: Vec<Mutex<SqliteConnection>>,
    free: Semaphore,
}

/// A connection that is given back when this is dropped.
pub(in crate::persistence) struct Borrowed<'a> {
    // Dropped first: whoever gets the permit finds a connection unlocked.
    connection: MutexGuard<'a, SqliteConnection>,
    _permit: SemaphorePermit<'a>,
}

impl Readers {
    pub(super) async fn open(options: &SqliteConnectOptions, count: u32) -> sqlx::Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..count {
            connections.push(Mutex::new(options.connect().await?));
        }
        let free = Semaphore::new(connections.len());
        Ok(Self { connections, free })
    }

    /// Waits for a free connection.
    pub(in crate::persistence) async fn acquire(&self) -> Result<Borrowed<'_>, DbErr> {
        let permit = self.free.acquire().await.map_err(|_| closed())?;
        let connection = self.connections.iter().find_map(Mutex::try_lock).ok_or_else(closed)?;
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

fn closed() -> DbErr {
    DbErr::Conn(RuntimeErr::Internal("the database is closed".into()))
}
