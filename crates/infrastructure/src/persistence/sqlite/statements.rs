//! `SeaORM`'s statements on one connection to SQLite.
//!
//! `SeaORM` brings a pool, which pings a connection each time it is given back: one more hop to
//! the thread of the connection for every statement, where most statements take less than that.

use sea_orm::{DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Values};
use sea_query_sqlx::SqlxValues;
use sqlx::{AssertSqlSafe, Executor, Sqlite, SqliteConnection, query::Query};

pub(in crate::persistence) async fn execute(
    connection: &mut SqliteConnection,
    statement: Statement,
) -> Result<ExecResult, DbErr> {
    prepared(statement).execute(connection).await.map(ExecResult::from).map_err(failed_write)
}

pub(in crate::persistence) async fn execute_unprepared(
    connection: &mut SqliteConnection,
    sql: &str,
) -> Result<ExecResult, DbErr> {
    let sql = AssertSqlSafe(sql.to_owned());
    connection.execute(sql).await.map(ExecResult::from).map_err(failed_write)
}

pub(in crate::persistence) async fn query_one(
    connection: &mut SqliteConnection,
    statement: Statement,
) -> Result<Option<QueryResult>, DbErr> {
    let row = prepared(statement).fetch_optional(connection).await.map_err(failed_read)?;
    Ok(row.map(QueryResult::from))
}

pub(in crate::persistence) async fn query_all(
    connection: &mut SqliteConnection,
    statement: Statement,
) -> Result<Vec<QueryResult>, DbErr> {
    let rows = prepared(statement).fetch_all(connection).await.map_err(failed_read)?;
    Ok(rows.into_iter().map(QueryResult::from).collect())
}

/// Every value is bound; the text comes from `SeaORM`'s builders and from this crate.
pub(super) fn prepared(statement: Statement) -> Query<'static, Sqlite, SqlxValues> {
    let values = statement.values.unwrap_or(Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql), SqlxValues(values))
}

fn failed_write(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

fn failed_read(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

/// One trip for several statements: sqlx binds the values to them in their order, and adds up
/// their rows.
pub(in crate::persistence) fn joined(statements: Vec<Statement>) -> Statement {
    let mut sql = Vec::with_capacity(statements.len());
    let mut values = Vec::new();
    for statement in statements {
        sql.push(statement.sql);
        values.extend(statement.values.into_iter().flatten());
    }
    Statement::from_sql_and_values(DbBackend::Sqlite, sql.join("; "), values)
}
