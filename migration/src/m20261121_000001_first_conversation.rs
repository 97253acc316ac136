//! What the first conversation needs: somebody who is signed in, a conversation, and a reply that
//! is being written.

use sea_orm_migration::prelude::*;

mod accounts;
mod conversations;
mod generations;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        accounts::up(manager).await?;
        conversations::up(manager).await?;
        generations::up(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        generations::down(manager).await?;
        conversations::down(manager).await?;
        accounts::down(manager).await
    }

    /// On SQLite too: a start that was cut off leaves nothing half done.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
