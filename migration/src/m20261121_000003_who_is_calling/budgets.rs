//! Token budgets: what was used of them, and what replies that are being written may yet use.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, text, uuid, uuid_null},
};

use crate::table::drop_all;

const TOKEN_BUDGETS: &str = "token_budgets";
const GENERATIONS: &str = "generations";

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(token_budgets()).await?;
    // No foreign key: what a revoked or deleted key asked for still counts for its owner.
    add(manager, uuid_null("api_key_id")).await?;
    add(manager, big_integer_null("reserved_tokens")).await
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for column in ["reserved_tokens", "api_key_id"] {
        let drop = Table::alter().table(GENERATIONS).drop_column(column).take();
        manager.alter_table(drop).await?;
    }
    drop_all(manager, &[TOKEN_BUDGETS]).await
}

async fn add(manager: &SchemaManager<'_>, column: ColumnDef) -> Result<(), DbErr> {
    manager.alter_table(Table::alter().table(GENERATIONS).add_column(column).take()).await
}

fn token_budgets() -> TableCreateStatement {
    Table::create()
        .table(TOKEN_BUDGETS)
        // A user or a key. No foreign key: it is either.
        .col(uuid("subject_id"))
        // The calendar month (UTC) as YYYY-MM.
        .col(text("period"))
        .col(big_integer("used"))
        .col(big_integer("reserved"))
        .primary_key(Index::create().col("subject_id").col("period"))
        .take()
}
