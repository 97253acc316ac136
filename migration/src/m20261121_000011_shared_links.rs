//! Links by which anyone reads a conversation as it was.

use sea_orm_migration::{
    prelude::*,
    schema::{
        blob, pk_uuid, text_null, timestamp_with_time_zone, timestamp_with_time_zone_null,
        uuid_null,
    },
};

use crate::table::{drop_all, reference, unique};

const SHARED_LINKS: &str = "shared_links";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(shared_links()).await?;
        manager.create_index(unique(SHARED_LINKS, &["token_hash"])).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_all(manager, &[SHARED_LINKS]).await
    }
}

/// At most one for each conversation.
fn shared_links() -> TableCreateStatement {
    let cascade = ForeignKeyAction::Cascade;
    Table::create()
        .table(SHARED_LINKS)
        .col(pk_uuid("conversation_id"))
        // SHA-256.
        .col(blob("token_hash"))
        .col(text_null("title"))
        // The message that the branch ended in; null where nothing was said. No foreign key:
        // messages go with their conversation, as the link does.
        .col(uuid_null("through_id"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone_null("expires_at"))
        .foreign_key(&mut reference(SHARED_LINKS, "conversation_id", "conversations", cascade))
        .take()
}
