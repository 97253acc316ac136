//! Replies being written, and their events.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, blob, blob_null, pk_uuid, text, text_null,
        timestamp_with_time_zone, timestamp_with_time_zone_null, uuid, uuid_null,
    },
};

use crate::table::{drop_all, index, reference, unique};

const GENERATIONS: &str = "generations";
const CHECKPOINTS: &str = "generation_checkpoints";

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(generations()).await?;
    for column in ["conversation_id", "owner_id", "user_message_id"] {
        manager.create_index(index(GENERATIONS, &[column])).await?;
    }
    manager.create_index(unique(GENERATIONS, &["message_id"])).await?;
    // One reply at a time in a conversation. A reply is queued or streaming exactly as long as
    // it has not ended; said this way, both planners also use this small index wherever
    // running replies are looked for.
    manager
        .create_index(
            unique(GENERATIONS, &["conversation_id"])
                .and_where(Expr::col("ended_at").is_null())
                .take(),
        )
        .await?;
    manager.create_table(checkpoints()).await
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    drop_all(manager, &[CHECKPOINTS, GENERATIONS]).await
}

fn generations() -> TableCreateStatement {
    let cascade =
        |column, target| reference(GENERATIONS, column, target, ForeignKeyAction::Cascade);
    Table::create()
        .table(GENERATIONS)
        .col(pk_uuid("id"))
        // Null where the conversation will be a guest's.
        .col(uuid_null("owner_id"))
        .col(uuid("conversation_id"))
        .col(uuid("user_message_id"))
        .col(uuid("message_id"))
        .col(text("state"))
        .col(text("model"))
        .col(big_integer("attempts").default(0))
        .col(text_null("failure"))
        .col(uuid("lease_owner"))
        .col(timestamp_with_time_zone("lease_until"))
        // The terminal event and its number, once there is one.
        .col(big_integer_null("last_seq"))
        .col(text_null("terminal_kind"))
        .col(blob_null("terminal_event"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone_null("ended_at"))
        .foreign_key(&mut cascade("owner_id", "users"))
        .foreign_key(&mut cascade("conversation_id", "conversations"))
        .foreign_key(&mut cascade("user_message_id", "messages"))
        .foreign_key(&mut cascade("message_id", "messages"))
        .take()
}

fn checkpoints() -> TableCreateStatement {
    Table::create()
        .table(CHECKPOINTS)
        .col(uuid("generation_id"))
        .col(big_integer("first_seq"))
        .col(big_integer("last_seq"))
        .col(blob("events"))
        // What the deltas among the events say.
        .col(text("text"))
        .primary_key(Index::create().col("generation_id").col("first_seq"))
        .foreign_key(&mut reference(
            CHECKPOINTS,
            "generation_id",
            GENERATIONS,
            ForeignKeyAction::Cascade,
        ))
        .take()
}
