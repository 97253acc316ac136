//! The connection that writes, and what goes to it ahead of the next statement.

use std::mem;

use futures::TryStreamExt;
use sea_orm::{DbBackend, DbErr, RuntimeErr, Statement};
use sqlx::{
    Either, Executor, SqliteConnection,
    sqlite::{SqliteQueryResult, SqliteRow},
};

use super::statements::prepared;

/// Statements that begin and end transactions wait here for the statement after them: each trip
/// to the thread of the connection and back costs more than most statements do.
pub(in crate::persistence) struct Session {
    connection: SqliteConnection,
    ahead: &'static str,
    /// Why what went ahead failed: the statement after it was never run.
    broken: Option<DbErr>,
}

impl Session {
    pub(super) fn new(connection: SqliteConnection) -> Self {
        Self { connection, ahead: "", broken: None }
    }

    /// What is to go ahead of the next statement: control statements, a semicolon after each.
    pub(super) fn put_ahead(&mut self, control: &'static str) {
        self.ahead = control;
    }

    /// What has not gone yet.
    pub(super) fn ahead(&self) -> &'static str {
        self.ahead
    }

    /// # Errors
    /// Why what went ahead failed, once.
    pub(super) fn intact(&mut self) -> Result<(), DbErr> {
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Control statements that wait for nothing, in place of those that went not yet.
    pub(super) async fn control(&mut self, sql: &'static str) -> Result<(), DbErr> {
        self.ahead = "";
        self.run(Statement::from_string(DbBackend::Sqlite, sql)).await.map(drop)
    }

    /// One statement, or several with the values of all: what they did together.
    pub(in crate::persistence) async fn run(
        &mut self,
        mut statement: Statement,
    ) -> Result<(SqliteQueryResult, Vec<SqliteRow>), DbErr> {
        let ahead = mem::take(&mut self.ahead);
        statement.sql.insert_str(0, ahead);
        // Their results are not the statement's: SQLite repeats the last number of rows.
        let mut controls = ahead.matches(';').count();
        let mut sum = SqliteQueryResult::default();
        let mut rows = Vec::new();
        let mut results = self.connection.fetch_many(prepared(statement));
        loop {
            match results.try_next().await {
                Ok(Some(Either::Left(_))) if controls > 0 => controls -= 1,
                Ok(Some(Either::Left(result))) => sum.extend([result]),
                Ok(Some(Either::Right(row))) => rows.push(row),
                Ok(None) => return Ok((sum, rows)),
                Err(error) => {
                    let error = DbErr::Exec(RuntimeErr::SqlxError(error.into()));
                    if controls > 0 {
                        self.broken = Some(error.clone());
                    }
                    return Err(error);
                }
            }
        }
    }
}
