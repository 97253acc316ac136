//! Requests that may be repeated and are done once.

use sea_orm_migration::{
    prelude::*,
    schema::{blob, text, timestamp_with_time_zone, uuid, uuid_null},
};

use crate::table::{drop_all, index, reference};

const IDEMPOTENCY_KEYS: &str = "idempotency_keys";

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(idempotency_keys()).await?;
    for column in ["generation_id", "message_id", "expires_at"] {
        manager.create_index(index(IDEMPOTENCY_KEYS, &[column])).await?;
    }
    Ok(())
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_all(manager, &[IDEMPOTENCY_KEYS]).await
}

/// Each points at what was done under it, and goes with it.
fn idempotency_keys() -> TableCreateStatement {
    let cascade =
        |column, target| reference(IDEMPOTENCY_KEYS, column, target, ForeignKeyAction::Cascade);
    Table::create()
        .table(IDEMPOTENCY_KEYS)
        .col(uuid("owner_id"))
        .col(text("route"))
        .col(text("key"))
        // SHA-256 of what was asked for.
        .col(blob("fingerprint"))
        .col(uuid_null("generation_id"))
        .col(uuid_null("message_id"))
        .col(timestamp_with_time_zone("expires_at"))
        .col(timestamp_with_time_zone("created_at"))
        .primary_key(Index::create().col("owner_id").col("route").col("key"))
        .foreign_key(&mut cascade("owner_id", "users"))
        .foreign_key(&mut cascade("generation_id", "generations"))
        .foreign_key(&mut cascade("message_id", "messages"))
        .take()
}
