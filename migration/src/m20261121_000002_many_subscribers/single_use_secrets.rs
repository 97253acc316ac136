//! Secrets that are good once.

use sea_orm_migration::{
    prelude::*,
    schema::{
        blob, text, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid, uuid_null,
    },
};

use crate::table::{drop_all, index, reference};

const SINGLE_USE_SECRETS: &str = "single_use_secrets";

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(single_use_secrets()).await?;
    for column in ["user_id", "resumes_until"] {
        manager.create_index(index(SINGLE_USE_SECRETS, &[column])).await?;
    }
    Ok(())
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_all(manager, &[SINGLE_USE_SECRETS]).await
}

fn single_use_secrets() -> TableCreateStatement {
    Table::create()
        .table(SINGLE_USE_SECRETS)
        // SHA-256.
        .col(blob("secret_hash").primary_key())
        .col(text("purpose"))
        .col(uuid("user_id"))
        // The login session, which has no row of its own to point at.
        .col(uuid("session_id"))
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
