//! Names that begin with a text, found by an index.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend,
    sea_query::{LikeExpr, SimpleExpr},
};

use crate::persistence::{Reader, entity::user::Column};

/// Greater than any character that a name has.
const LAST: char = char::MAX;

/// Addresses and keys of usernames that begin with `text`, which is in lower case.
pub(super) fn names_beginning(reader: &Reader, text: &str) -> Condition {
    let begins: fn(Column, &str) -> SimpleExpr = match reader.get_database_backend() {
        DbBackend::Sqlite => between,
        _ => like,
    };
    Condition::any().add(begins(Column::Email, text)).add(begins(Column::UsernameKey, text))
}

/// SQLite compares bytes, and its LIKE knows no index where it knows letters.
fn between(column: Column, text: &str) -> SimpleExpr {
    column.between(text.to_owned(), format!("{text}{LAST}"))
}

/// PostgreSQL compares as its locale does, but for the patterns that the index is made for.
fn like(column: Column, text: &str) -> SimpleExpr {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    column.like(LikeExpr::new(format!("{escaped}%")).escape('\\'))
}
