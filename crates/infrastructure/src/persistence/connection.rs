//! What statements run on: a transaction that writes, or whatever connection is free to read.

use async_trait::async_trait;
use futures::lock::Mutex;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, Statement,
};
use sqlx::SqliteConnection;

use super::sqlite::{self, Readers};

/// A transaction that is being written. It is committed by [`super::Database::write`] alone.
pub struct Transaction(pub(super) TransactionOf);

pub(super) enum TransactionOf {
    Sqlite(Mutex<SqliteConnection>),
    Postgres(DatabaseTransaction),
}

/// Reads what is committed, each statement on a connection of its own.
pub struct Reader(pub(super) ReaderOf);

pub(super) enum ReaderOf {
    Sqlite(Readers),
    Postgres(DatabaseConnection),
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
            TransactionOf::Sqlite(connection) => {
                sqlite::execute(&mut *connection.lock().await, statement).await
            }
            TransactionOf::Postgres(transaction) => transaction.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.0 {
            TransactionOf::Sqlite(connection) => {
                sqlite::execute_unprepared(&mut *connection.lock().await, sql).await
            }
            TransactionOf::Postgres(transaction) => transaction.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.0 {
            TransactionOf::Sqlite(connection) => {
                sqlite::query_one(&mut *connection.lock().await, statement).await
            }
            TransactionOf::Postgres(transaction) => transaction.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.0 {
            TransactionOf::Sqlite(connection) => {
                sqlite::query_all(&mut *connection.lock().await, statement).await
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
