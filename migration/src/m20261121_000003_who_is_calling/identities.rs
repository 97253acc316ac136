//! Who somebody is elsewhere, and who is being guessed at.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, blob, text, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
    },
};

use crate::table::{drop_all, index, reference};

const EXTERNAL_IDENTITIES: &str = "external_identities";
const LOGIN_FAILURES: &str = "login_failures";

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(external_identities()).await?;
    manager.create_index(index(EXTERNAL_IDENTITIES, &["user_id"])).await?;
    manager.create_table(login_failures()).await?;
    manager.create_index(index(LOGIN_FAILURES, &["failed_at"])).await
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_all(manager, &[LOGIN_FAILURES, EXTERNAL_IDENTITIES]).await
}

/// Subjects of another issuer's tokens, each mapped to a user.
fn external_identities() -> TableCreateStatement {
    Table::create()
        .table(EXTERNAL_IDENTITIES)
        .col(text("issuer"))
        .col(text("subject"))
        .col(uuid("user_id"))
        .col(timestamp_with_time_zone("created_at"))
        // Its name tells the adapter what is taken.
        .primary_key(
            Index::create().name("external_identities_issuer_key").col("issuer").col("subject"),
        )
        .foreign_key(&mut reference(
            EXTERNAL_IDENTITIES,
            "user_id",
            "users",
            ForeignKeyAction::Cascade,
        ))
        .take()
}

/// By account name, whether there is such an account or not.
fn login_failures() -> TableCreateStatement {
    Table::create()
        .table(LOGIN_FAILURES)
        // SHA-256 of the name, case-folded.
        .col(blob("name_hash").primary_key())
        // In a row, since the last success.
        .col(big_integer("failures"))
        .col(timestamp_with_time_zone("failed_at"))
        .col(timestamp_with_time_zone_null("wait_until"))
        .take()
}
