//! What statements run on: a transaction that writes, or whatever connection is free to read.

use std::sync::Arc;

use async_trait::async_trait;
use futures::lock::Mutex;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, Statement,
};

use super::sqlite::{self, Readers, Session};

/// A transaction that is being written. It is committed by [`super::Database::write`] alone.
pub struct Transaction(pub(super) TransactionOf);

pub(super) enum TransactionOf {
    Sqlite(Arc<Mutex<Session>>),
    Postgres(DatabaseTransaction),
}

/// Reads what is committed, each statement on a connection of its own.
pub struct Reader(pub(super) ReaderOf);

pub(super) enum ReaderOf {
    Sqlite(Readers),
    Postgres(DatabaseConnection),
}

impl Transaction {
    /// Statements that write, in order, of which none depends on what another one did. On SQLite
    /// they take one trip to the database. Answers how many rows they wrote in all. Where one
    /// fails, those before it stand until the transaction is undone.
    pub(super) async fn execute_all(&self, statements: Vec<Statement>) -> Result<u64, DbErr> {
        match &self.0 {
            TransactionOf::Sqlite(session) => {
                let (done, _) = session.lock().await.run(sqlite::joined(statements)).await?;
                Ok(done.rows_affected())
            }
            TransactionOf::Postgres(transaction) => {
                let mut rows = 0;
                for statement in statements {
                    rows += transaction.execute_raw(statement).await?.rows_affected();
                }
                Ok(rows)
            }
        }
    }
}

impl Reader {
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        match &self.0 {
            ReaderOf::Sqlite(readers) => {
                readers.close();
                Ok(())
            }
            ReaderOf::Postgres(pool) => pool.close_by_ref().await,
        }
    }
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        match &self.0 {
            TransactionOf::Sqlite(_) => DbBackend::Sqlite,
            TransactionOf::Postgres(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match &self.0 {
            TransactionOf::Sqlite(session) => {
                let (done, _) = session.lock().await.run(statement).await?;
                Ok(done.into())
            }
            TransactionOf::Postgres(transaction) => transaction.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.0 {
            TransactionOf::Sqlite(_) => {
                self.execute_raw(Statement::from_string(DbBackend::Sqlite, sql)).await
            }
            TransactionOf::Postgres(transaction) => transaction.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.0 {
            TransactionOf::Sqlite(session) => {
                let (_, rows) = session.lock().await.run(statement).await?;
                Ok(rows.into_iter().next().map(QueryResult::from))
            }
            TransactionOf::Postgres(transaction) => transaction.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.0 {
            TransactionOf::Sqlite(session) => {
                let (_, rows) = session.lock().await.run(statement).await?;
                Ok(rows.into_iter().map(QueryResult::from).collect())
            }
            TransactionOf::Postgres(transaction) => transaction.query_all_raw(statement).await,
        }
    }
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        match &self.0 {
            ReaderOf::Sqlite(_) => DbBackend::Sqlite,
            ReaderOf::Postgres(_) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match &self.0 {
            ReaderOf::Sqlite(readers) => {
                sqlite::execute(&mut *readers.acquire().await?, statement).await
            }
            ReaderOf::Postgres(pool) => pool.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.0 {
            ReaderOf::Sqlite(readers) => {
                sqlite::execute_unprepared(&mut *readers.acquire().await?, sql).await
            }
            ReaderOf::Postgres(pool) => pool.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.0 {
            ReaderOf::Sqlite(readers) => {
                sqlite::query_one(&mut *readers.acquire().await?, statement).await
            }
            ReaderOf::Postgres(pool) => pool.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.0 {
            ReaderOf::Sqlite(readers) => {
                sqlite::query_all(&mut *readers.acquire().await?, statement).await
            }
            ReaderOf::Postgres(pool) => pool.query_all_raw(statement).await,
        }
    }
}
