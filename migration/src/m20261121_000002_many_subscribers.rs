//! What many subscribers need: change feeds, requests that may be repeated, tickets, and replies
//! that may be cancelled from anywhere.

use sea_orm_migration::prelude::*;

mod feeds;
mod generations;
mod idempotency_keys;
mod single_use_secrets;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        generations::up(manager).await?;
        feeds::up(manager).await?;
        idempotency_keys::up(manager).await?;
        single_use_secrets::up(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        single_use_secrets::down(manager).await?;
        idempotency_keys::down(manager).await?;
        feeds::down(manager).await?;
        generations::down(manager).await
    }

    /// On SQLite too: a start that was cut off leaves nothing half done.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
