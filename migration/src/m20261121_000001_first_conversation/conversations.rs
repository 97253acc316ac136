//! Conversations and their messages.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, boolean_null, pk_uuid, text, text_null,
        timestamp_with_time_zone, timestamp_with_time_zone_null, uuid, uuid_null,
    },
};

use crate::table::{drop_all, index, reference, unique};

const CONVERSATIONS: &str = "conversations";
const MESSAGES: &str = "messages";

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(conversations()).await?;
    manager.create_index(unique(CONVERSATIONS, &["code"])).await?;
    // The order of lists, and the foreign key.
    manager.create_index(index(CONVERSATIONS, &["owner_id", "last_activity_at", "id"])).await?;

    manager.create_table(messages()).await?;
    manager.create_index(unique(MESSAGES, &["conversation_id", "code"])).await?;
    manager.create_index(index(MESSAGES, &["conversation_id", "id"])).await?;
    manager.create_index(index(MESSAGES, &["parent_id"])).await
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_all(manager, &[MESSAGES, CONVERSATIONS]).await
}

fn conversations() -> TableCreateStatement {
    Table::create()
        .table(CONVERSATIONS)
        .col(pk_uuid("id"))
        .col(text("code"))
        // Null where it will be a guest's: SQLite cannot drop a NOT NULL later without copying
        // the table.
        .col(uuid_null("owner_id"))
        .col(text_null("title"))
        // The title in lower case: SQLite folds ASCII only.
        .col(text_null("title_key"))
        .col(text_null("system_message"))
        .col(text_null("model"))
        .col(text_null("language"))
        .col(text("status"))
        .col(text_null("metadata"))
        .col(timestamp_with_time_zone_null("last_message_at"))
        // The last message, or the beginning.
        .col(timestamp_with_time_zone("last_activity_at"))
        .col(timestamp_with_time_zone_null("ended_at"))
        .col(timestamp_with_time_zone_null("expires_at"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .col(big_integer("version"))
        .foreign_key(&mut reference(CONVERSATIONS, "owner_id", "users", ForeignKeyAction::Cascade))
        .take()
}

fn messages() -> TableCreateStatement {
    Table::create()
        .table(MESSAGES)
        .col(pk_uuid("id"))
        .col(text("code"))
        .col(uuid("conversation_id"))
        .col(uuid_null("parent_id"))
        .col(text("role"))
        .col(text("content"))
        .col(text("status"))
        // No foreign key: the generation points here already.
        .col(uuid_null("generation_id"))
        .col(text_null("model"))
        .col(big_integer_null("prompt_tokens"))
        .col(big_integer_null("completion_tokens"))
        .col(big_integer_null("tokens_used"))
        .col(boolean_null("usage_estimated"))
        // Micro-units of the price list's currency.
        .col(big_integer_null("cost"))
        .col(big_integer_null("latency_ms"))
        .col(big_integer_null("first_token_ms"))
        .col(text_null("finish_reason"))
        .col(text_null("metadata"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .col(big_integer("version"))
        .foreign_key(&mut reference(
            MESSAGES,
            "conversation_id",
            CONVERSATIONS,
            ForeignKeyAction::Cascade,
        ))
        .foreign_key(&mut reference(MESSAGES, "parent_id", MESSAGES, ForeignKeyAction::SetNull))
        .take()
}
