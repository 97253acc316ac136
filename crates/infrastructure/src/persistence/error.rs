//! What a database error means to a port.

use repartee_application::ports::PortError;
use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// For errors that no contract names. The text is a source: it is logged and never shown.
pub(super) fn database(error: DbErr) -> PortError {
    if is_undecodable(&error) {
        PortError::Corrupt(error.into())
    } else {
        PortError::Unavailable(error.into())
    }
}

fn is_undecodable(error: &DbErr) -> bool {
    match error {
        DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } => true,
        DbErr::Query(RuntimeErr::SqlxError(error)) => {
            matches!(**error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))
        }
        _ => false,
    }
}

/// As [`database`], and [`PortError::Taken`] where the unique index on `column` refused a row.
pub(super) fn taken(
    table: &str,
    columns: &[(&str, &'static str)],
) -> impl FnOnce(DbErr) -> PortError {
    move |error| match violated(&error, table, columns) {
        Some(field) => PortError::Taken { field },
        None => database(error),
    }
}

/// Undoes a transaction that would store one thing more than there may be, with its idempotency
/// key.
#[derive(Debug, thiserror::Error)]
#[error("there are as many as there may be")]
pub(super) struct TooMany;

impl From<TooMany> for PortError {
    fn from(error: TooMany) -> Self {
        Self::Unavailable(error.into())
    }
}

/// `None` for what was undone because of [`TooMany`].
pub(super) fn unless_too_many<T>(stored: Result<T, PortError>) -> Result<Option<T>, PortError> {
    match stored {
        Err(PortError::Unavailable(error)) if error.is::<TooMany>() => Ok(None),
        stored => stored.map(Some),
    }
}

/// Whether what a row points at is not there (any more).
pub(super) fn is_dangling(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_)))
}

/// As [`taken`], and [`PortError::Stale`] where what a row points at is gone meanwhile.
pub(super) fn gone_or_taken(
    table: &str,
    columns: &[(&str, &'static str)],
) -> impl FnOnce(DbErr) -> PortError {
    move |error| {
        if is_dangling(&error) { PortError::Stale } else { taken(table, columns)(error) }
    }
}

/// SQLite names the columns of the index that was violated, PostgreSQL its name; of a primary key
/// that is `…_pkey`.
fn violated(error: &DbErr, table: &str, columns: &[(&str, &'static str)]) -> Option<&'static str> {
    let Some(SqlErr::UniqueConstraintViolation(message)) = error.sql_err() else { return None };
    columns
        .iter()
        .find(|(column, _)| {
            message.contains(&format!("{table}.{column}"))
                || message.contains(&format!("{table}_{column}_key"))
                || (*column == "id" && message.contains(&format!("{table}_pkey")))
        })
        .map(|(_, field)| *field)
}
