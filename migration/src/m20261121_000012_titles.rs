//! What is written beside replies: it is counted as used, and not among what runs at once.

use sea_orm_migration::{prelude::*, schema::boolean};

const RUNNING_COMPLETIONS: &str = "running_completions";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = boolean("is_aside").default(false).take();
        let alter = Table::alter().table(RUNNING_COMPLETIONS).add_column(column).take();
        manager.alter_table(alter).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let alter = Table::alter().table(RUNNING_COMPLETIONS).drop_column("is_aside").take();
        manager.alter_table(alter).await
    }
}
