//! What was used in months that are over is found by its month, to be forgotten.

use sea_orm_migration::prelude::*;

use crate::table::index;

const TOKEN_BUDGETS: &str = "token_budgets";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_index(index(TOKEN_BUDGETS, &["period"])).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = Index::drop().name("token_budgets_period_idx").table(TOKEN_BUDGETS).to_owned();
        manager.drop_index(drop).await
    }
}
