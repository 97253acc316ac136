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

/// Whether what a row points at is not there (any more).
pub(super) fn is_dangling(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::ForeignKeyConstraintViolation(_)))
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
