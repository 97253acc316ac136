//! The audit log: entries, the hash chain over them, and the keys to what is personal in them.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, blob, blob_null, pk_auto, pk_uuid, text, text_null,
        timestamp_with_time_zone, uuid_null,
    },
};

use crate::table::{drop_all, index, reference, unique};

const AUDIT_LOGS: &str = "audit_logs";
const AUDIT_ANCHORS: &str = "audit_anchors";
const SUBJECT_KEYS: &str = "subject_keys";

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(subject_keys()).await?;
    manager.create_table(audit_logs()).await?;
    manager.create_index(unique(AUDIT_LOGS, &["position"])).await?;
    manager.create_index(unsealed()).await?;
    manager.create_index(index(AUDIT_LOGS, &["at", "id"])).await?;
    for column in ["user_id", "action", "outcome"] {
        manager.create_index(index(AUDIT_LOGS, &[column, "at", "id"])).await?;
    }
    manager.create_table(audit_anchors()).await?;
    manager.create_index(index(AUDIT_ANCHORS, &["position"])).await
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_all(manager, &[AUDIT_ANCHORS, AUDIT_LOGS, SUBJECT_KEYS]).await
}

/// What the personal fields of somebody's entries are encrypted with. They become unreadable with
/// the key, which goes with its user.
fn subject_keys() -> TableCreateStatement {
    Table::create()
        .table(SUBJECT_KEYS)
        .col(pk_uuid("user_id"))
        .col(blob("key"))
        .col(timestamp_with_time_zone("created_at"))
        .foreign_key(&mut reference(SUBJECT_KEYS, "user_id", "users", ForeignKeyAction::Cascade))
        .take()
}

/// Entries outlive those that they are about: there are no foreign keys.
fn audit_logs() -> TableCreateStatement {
    Table::create()
        .table(AUDIT_LOGS)
        .col(pk_auto("id").big_integer())
        // Whom it was done by or, where that is nobody known, to.
        .col(uuid_null("user_id"))
        .col(text("actor"))
        .col(text("action"))
        .col(text_null("resource"))
        .col(text_null("resource_id"))
        .col(text("outcome"))
        // A JSON object, with nothing personal in it.
        .col(text("details"))
        // Of an entry about nobody known.
        .col(text_null("ip_address"))
        // Encrypted, of an entry about somebody.
        .col(blob_null("personal"))
        .col(text_null("request_id"))
        .col(timestamp_with_time_zone("at"))
        // In the hash chain: 1, 2, 3 …; null until it is sealed.
        .col(big_integer_null("position"))
        // SHA-256.
        .col(blob_null("previous_hash"))
        .col(blob_null("hash"))
        .take()
}

fn unsealed() -> IndexCreateStatement {
    index(AUDIT_LOGS, &["id"])
        .name("audit_logs_unsealed_idx")
        .and_where(Expr::col("position").is_null())
        .take()
}

/// Where the chain was, day by day.
fn audit_anchors() -> TableCreateStatement {
    Table::create()
        .table(AUDIT_ANCHORS)
        // The day (UTC) as YYYY-MM-DD.
        .col(text("day").primary_key())
        .col(big_integer("position"))
        .col(blob("hash"))
        .col(timestamp_with_time_zone("at"))
        .take()
}
