//! What keeps much that happens at once from waiting, and what is over from piling up.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::table::{index, unique};

const TOKEN_BUDGETS: &str = "token_budgets";
const USERS: &str = "users";
/// No foreign key points at these.
const NAMES: [&str; 2] = ["email", "username_key"];

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Months that are over are found by their names, to be forgotten.
        manager.create_index(index(TOKEN_BUDGETS, &["period"])).await?;
        replace_names(manager, |index, column| {
            index.and_where(Expr::col(column).is_not_null()).take()
        })
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        replace_names(manager, |index, _| index.take()).await?;
        drop_index(manager, TOKEN_BUDGETS, "token_budgets_period_idx").await
    }

    /// On SQLite too: a start that was cut off leaves nothing half done.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// To PostgreSQL a column with a whole unique index is one that foreign keys may point at: who
/// changes it waits for everybody who points at the row, as each turn does at its user, and two who
/// do so for each other. With a condition that always holds the index is none of these.
async fn replace_names(
    manager: &SchemaManager<'_>,
    new: fn(&mut IndexCreateStatement, &'static str) -> IndexCreateStatement,
) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    for column in NAMES {
        drop_index(manager, USERS, &format!("{USERS}_{column}_key")).await?;
        manager.create_index(new(&mut unique(USERS, &[column]), column)).await?;
    }
    Ok(())
}

async fn drop_index(
    manager: &SchemaManager<'_>,
    table: &'static str,
    name: &str,
) -> Result<(), DbErr> {
    manager.drop_index(Index::drop().name(name).table(table).to_owned()).await
}
