//! Conversations whose messages are a tree.

use sea_orm_migration::{prelude::*, schema::boolean};

use crate::table::index;

const CONVERSATIONS: &str = "conversations";
const IS_BRANCHED: &str = "is_branched";
const MESSAGES: &str = "messages";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = boolean(IS_BRANCHED).default(false).take();
        let add = Table::alter().table(CONVERSATIONS).add_column(column).take();
        manager.alter_table(add).await?;
        // The newest of what follows a message, and the foreign key.
        manager.create_index(index(MESSAGES, &["parent_id", "id"])).await?;
        drop_index(manager, "messages_parent_id_idx").await
    }

    /// The messages keep their parents.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_index(index(MESSAGES, &["parent_id"])).await?;
        drop_index(manager, "messages_parent_id_id_idx").await?;
        let drop = Table::alter().table(CONVERSATIONS).drop_column(IS_BRANCHED).take();
        manager.alter_table(drop).await
    }

    /// On SQLite too: a start that was cut off leaves nothing half done.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn drop_index(manager: &SchemaManager<'_>, name: &str) -> Result<(), DbErr> {
    manager.drop_index(Index::drop().name(name).table(MESSAGES).to_owned()).await
}
