//! The one connection that writes, and group commit.
//!
//! Writes that wait while a commit is being synced to the disk share the next one. Each is a
//! savepoint of its own, so that one that fails takes nobody with it. The thread is this module's,
//! with its own runtime: it outlives the web server's workers and is joined when the database is
//! closed.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use async_trait::async_trait;
use futures::{FutureExt, future::BoxFuture, lock};
use repartee_application::ports::PortError;
use sea_orm::DbErr;
use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::{file_lock::FileLock, session::Session};
use crate::persistence::{
    connection::{Transaction, TransactionOf},
    error::database,
};

/// Bounds how long the first of a batch waits for the last.
const MAX_BATCH: usize = 64;
/// Writes that wait before those who ask for more have to.
const MAX_WAITING: usize = 1024;

const BEGIN: &str = "BEGIN IMMEDIATE;";
const BEGIN_BATCH: &str = "BEGIN IMMEDIATE; SAVEPOINT job;";
const KEEP: &str = "RELEASE job; SAVEPOINT job;";
/// A savepoint that was rolled back is open again.
const UNDO: &str = "ROLLBACK TO job;";

pub(in crate::persistence) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A write that waits for its turn, and whoever waits for it.
#[async_trait]
trait Job: Send {
    /// Whether what it wrote is to be kept.
    async fn run(&mut self, transaction: &Transaction) -> bool;

    fn answer(self: Box<Self>, committed: &Result<(), DbErr>);
}

struct Write<F, T, A> {
    /// Taken when it runs.
    work: Option<F>,
    /// What is to be done once it is on the disk, whoever still waits for it.
    after: A,
    result: Result<T, PortError>,
    answer: oneshot::Sender<Result<T, PortError>>,
}

impl Writer {
    /// The lock is held until the last write is done.
    pub(super) fn start(
        connection: SqliteConnection,
        lock: Option<FileLock>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let (queue, jobs) = mpsc::channel(MAX_WAITING);
        let thread = thread::Builder::new().name("sqlite-writer".into()).spawn(move || {
            let _held = lock;
            runtime.block_on(serve(connection, jobs));
        })?;
        Ok(Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) })
    }

    /// Answers once the write is on the disk. It is done even if nobody waits for the answer, and
    /// so is `after` then.
    pub(in crate::persistence) async fn write<F, T>(
        &self,
        work: F,
        after: impl FnOnce() + Send + 'static,
    ) -> Result<T, PortError>
    where
        F: for<'t> FnOnce(&'t Transaction) -> BoxFuture<'t, Result<T, PortError>> + Send + 'static,
        T: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Write { work: Some(work), after, result: Err(gone()), answer };
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        queue.ok_or_else(gone)?.send(Box::new(job)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Takes no more writes, and waits for those that were taken. Blocks.
    pub(in crate::persistence) fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes to the database panicked");
        }
    }
}

#[async_trait]
impl<F, T, A> Job for Write<F, T, A>
where
    A: FnOnce() + Send,
    F: for<'t> FnOnce(&'t Transaction) -> BoxFuture<'t, Result<T, PortError>> + Send + 'static,
    T: Send + 'static,
{
    async fn run(&mut self, transaction: &Transaction) -> bool {
        let Some(work) = self.work.take() else { return false };
        let work = AssertUnwindSafe(async move { work(transaction).await });
        self.result = work
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Err(PortError::Unavailable("the write panicked".into())));
        self.result.is_ok()
    }

    fn answer(self: Box<Self>, committed: &Result<(), DbErr>) {
        // What a write saw of its neighbours is void too where nothing was committed.
        let result = match committed {
            Ok(()) => self.result,
            Err(error) => Err(database(error.clone())),
        };
        if result.is_ok() {
            (self.after)();
        }
        // Whoever asked may have gone away.
        drop(self.answer.send(result));
    }
}

async fn serve(connection: SqliteConnection, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let session = Arc::new(lock::Mutex::new(Session::new(connection)));
    let transaction = Transaction(TransactionOf::Sqlite(Arc::clone(&session)));
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while jobs.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let committed = commit(&session, &transaction, &mut batch).await;
        if committed.is_err() {
            // Fails where SQLite undid the transaction itself, which is as good.
            drop(session.lock().await.control("ROLLBACK").await);
        }
        for job in batch.drain(..) {
            job.answer(&committed);
        }
    }
}

async fn commit(
    session: &lock::Mutex<Session>,
    transaction: &Transaction,
    batch: &mut [Box<dyn Job>],
) -> Result<(), DbErr> {
    if let [job] = batch {
        session.lock().await.put_ahead(BEGIN);
        let is_kept = job.run(transaction).await;
        let mut session = session.lock().await;
        session.intact()?;
        return match session.ahead() {
            BEGIN => Ok(()),
            _ => session.control(if is_kept { "COMMIT" } else { "ROLLBACK" }).await,
        };
    }
    session.lock().await.put_ahead(BEGIN_BATCH);
    for job in batch {
        let is_kept = job.run(transaction).await;
        let mut session = session.lock().await;
        session.intact()?;
        // A job that ran no statement leaves what is ahead to the next one.
        if session.ahead().is_empty() {
            session.put_ahead(if is_kept { KEEP } else { UNDO });
        }
    }
    let mut session = session.lock().await;
    match session.ahead() {
        BEGIN_BATCH => Ok(()),
        UNDO => session.control("ROLLBACK TO job; COMMIT").await,
        // A savepoint that is open is committed with the rest.
        _ => session.control("COMMIT").await,
    }
}

fn gone() -> PortError {
    PortError::Unavailable("the database is closed".into())
}
