//! What is needed to know who calls: keys for programs, waits after wrong passwords, token budgets,
//! identities of other issuers, guests, and the audit log.

use sea_orm_migration::prelude::*;

mod api_keys;
mod audit;
mod budgets;
mod guests;
mod idempotency_keys;
mod identities;
mod lists;
mod single_use_secrets;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        single_use_secrets::up(manager).await?;
        api_keys::up(manager).await?;
        identities::up(manager).await?;
        lists::up(manager).await?;
        budgets::up(manager).await?;
        guests::up(manager).await?;
        idempotency_keys::up(manager).await?;
        audit::up(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        audit::down(manager).await?;
        idempotency_keys::down(manager).await?;
        guests::down(manager).await?;
        budgets::down(manager).await?;
        lists::down(manager).await?;
        identities::down(manager).await?;
        api_keys::down(manager).await?;
        single_use_secrets::down(manager).await
    }

    /// On SQLite too: a start that was cut off leaves nothing half done.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
