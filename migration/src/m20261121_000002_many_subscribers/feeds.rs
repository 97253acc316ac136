//! What users' devices are told.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, pk_uuid, text, timestamp_with_time_zone, uuid, uuid_null},
};

use crate::table::{drop_all, index, reference};

const FEEDS: &str = "feeds";
const FEED_EVENTS: &str = "feed_events";

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(feeds()).await?;
    manager.create_table(feed_events()).await?;
    // Reading one conversation, and forgetting.
    manager.create_index(index(FEED_EVENTS, &["owner_id", "conversation_id", "seq"])).await?;
    manager.create_index(index(FEED_EVENTS, &["created_at"])).await
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_all(manager, &[FEED_EVENTS, FEEDS]).await
}

/// How far each user's changes are numbered, and how far they were forgotten.
fn feeds() -> TableCreateStatement {
    Table::create()
        .table(FEEDS)
        .col(pk_uuid("owner_id"))
        .col(big_integer("last_seq"))
        // The newest change that says that a login session ended: every open stream looks for it.
        .col(big_integer("last_session_end").default(0))
        .col(big_integer("forgotten_to").default(0))
        .foreign_key(&mut reference(FEEDS, "owner_id", "users", ForeignKeyAction::Cascade))
        .take()
}

/// Pointers without foreign keys: what they point at may be gone, which is told as well.
fn feed_events() -> TableCreateStatement {
    Table::create()
        .table(FEED_EVENTS)
        .col(uuid("owner_id"))
        .col(big_integer("seq"))
        .col(text("kind"))
        .col(uuid_null("conversation_id"))
        .col(uuid_null("message_id"))
        .col(uuid_null("generation_id"))
        .col(timestamp_with_time_zone("created_at"))
        .primary_key(Index::create().col("owner_id").col("seq"))
        .foreign_key(&mut reference(FEED_EVENTS, "owner_id", "users", ForeignKeyAction::Cascade))
        .take()
}
