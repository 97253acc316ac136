//! Single-use secrets that belong to no login session: links in mails, and tickets that a token of
//! another issuer got.
//!
//! SQLite cannot drop a NOT NULL: the rows are copied into a table without it.

use sea_orm_migration::{
    prelude::*,
    schema::{
        blob, text, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid, uuid_null,
    },
};

use crate::table::{index, reference};

const SINGLE_USE_SECRETS: &str = "single_use_secrets";
const OLD: &str = "old_single_use_secrets";
const INDEXED: [&str; 2] = ["user_id", "resumes_until"];
const COPY: &str = "INSERT INTO single_use_secrets (secret_hash, purpose, user_id, session_id, \
    generation_id, expires_at, resumes_until, spent_at) SELECT secret_hash, purpose, user_id, \
    session_id, generation_id, expires_at, resumes_until, spent_at FROM old_single_use_secrets";
const WITH_SESSION: &str = " WHERE session_id IS NOT NULL";

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut table = table(uuid_null("session_id"));
    // When the token of another issuer runs out that got a ticket.
    table.col(timestamp_with_time_zone_null("token_expires_at"));
    replace(manager, table, COPY).await
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    replace(manager, table(uuid("session_id")), &format!("{COPY}{WITH_SESSION}")).await
}

async fn replace(
    manager: &SchemaManager<'_>,
    table: TableCreateStatement,
    copy: &str,
) -> Result<(), DbErr> {
    for column in INDEXED {
        let name = format!("{SINGLE_USE_SECRETS}_{column}_idx");
        manager.drop_index(Index::drop().name(name).table(SINGLE_USE_SECRETS).to_owned()).await?;
    }
    let rename = Table::rename().table(SINGLE_USE_SECRETS, OLD).take();
    manager.rename_table(rename).await?;
    manager.create_table(table).await?;
    manager.get_connection().execute_unprepared(copy).await?;
    manager.drop_table(Table::drop().table(OLD).take()).await?;
    for column in INDEXED {
        manager.create_index(index(SINGLE_USE_SECRETS, &[column])).await?;
    }
    Ok(())
}

fn table(session_id: ColumnDef) -> TableCreateStatement {
    Table::create()
        .table(SINGLE_USE_SECRETS)
        // SHA-256.
        .col(blob("secret_hash").primary_key())
        .col(text("purpose"))
        .col(uuid("user_id"))
        // The login session, which has no row of its own to point at.
        .col(session_id)
        // The reply that it opened. No foreign key: nothing is lost where it dangles.
        .col(uuid_null("generation_id"))
        .col(timestamp_with_time_zone("expires_at"))
        .col(timestamp_with_time_zone("resumes_until"))
        .col(timestamp_with_time_zone_null("spent_at"))
        .foreign_key(&mut reference(
            SINGLE_USE_SECRETS,
            "user_id",
            "users",
            ForeignKeyAction::Cascade,
        ))
        .take()
}
