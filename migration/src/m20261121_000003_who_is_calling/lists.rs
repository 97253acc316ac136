//! What lists of users and of login sessions are read by.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::table::index;

const USERS: &str = "users";
const LOGIN_SESSIONS: &str = "login_sessions";
/// PostgreSQL compares as its locale does, which no prefix is found by.
const PREFIXES: [&str; 2] = [
    "CREATE INDEX users_email_prefix_idx ON users (email text_pattern_ops)",
    "CREATE INDEX users_username_prefix_idx ON users (username_key text_pattern_ops)",
];

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for column in ["role", "is_active"] {
        manager.create_index(index(USERS, &[column, "id"])).await?;
    }
    manager.create_index(known()).await?;
    manager.create_index(current()).await?;
    if manager.get_database_backend() == DbBackend::Postgres {
        for sql in PREFIXES {
            manager.get_connection().execute_unprepared(sql).await?;
        }
    }
    Ok(())
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    if manager.get_database_backend() == DbBackend::Postgres {
        for name in ["users_username_prefix_idx", "users_email_prefix_idx"] {
            drop_index(manager, USERS, name).await?;
        }
    }
    drop_index(manager, LOGIN_SESSIONS, "login_sessions_current_idx").await?;
    for name in ["users_known_idx", "users_is_active_id_idx", "users_role_id_idx"] {
        drop_index(manager, USERS, name).await?;
    }
    Ok(())
}

async fn drop_index(
    manager: &SchemaManager<'_>,
    table: &'static str,
    name: &'static str,
) -> Result<(), DbErr> {
    manager.drop_index(Index::drop().name(name).table(table).to_owned()).await
}

/// Guests are in no list.
fn known() -> IndexCreateStatement {
    index(USERS, &["id"]).name("users_known_idx").and_where(Expr::cust("role <> 'guest'")).take()
}

/// The one token of each login session that is unspent.
fn current() -> IndexCreateStatement {
    index(LOGIN_SESSIONS, &["user_id", "family_id"])
        .name("login_sessions_current_idx")
        .and_where(Expr::col("rotated_at").is_null())
        .and_where(Expr::col("revoked_at").is_null())
        .take()
}
