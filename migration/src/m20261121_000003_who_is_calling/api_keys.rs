//! Keys for programs.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer_null, blob, pk_uuid, text, text_null, timestamp_with_time_zone,
        timestamp_with_time_zone_null, uuid,
    },
};

use crate::table::{drop_all, index, reference, unique};

const API_KEYS: &str = "api_keys";

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(api_keys()).await?;
    manager.create_index(unique(API_KEYS, &["secret_hash"])).await?;
    // The order of lists, and the foreign key.
    manager.create_index(index(API_KEYS, &["user_id", "id"])).await
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_all(manager, &[API_KEYS]).await
}

fn api_keys() -> TableCreateStatement {
    Table::create()
        .table(API_KEYS)
        .col(pk_uuid("id"))
        .col(uuid("user_id"))
        .col(text("name"))
        // The first characters of the secret.
        .col(text("prefix"))
        // SHA-256.
        .col(blob("secret_hash"))
        // Separated by spaces.
        .col(text("scopes"))
        // A JSON array of names; null for all.
        .col(text_null("models"))
        .col(big_integer_null("requests_per_minute"))
        .col(big_integer_null("monthly_token_budget"))
        .col(timestamp_with_time_zone_null("last_used_at"))
        .col(timestamp_with_time_zone_null("expires_at"))
        .col(timestamp_with_time_zone_null("revoked_at"))
        .col(timestamp_with_time_zone("created_at"))
        .foreign_key(&mut reference(API_KEYS, "user_id", "users", ForeignKeyAction::Cascade))
        .take()
}
