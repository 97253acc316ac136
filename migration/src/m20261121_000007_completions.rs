//! Completions under way: what is reserved for them, and until when.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, pk_uuid, text, timestamp_with_time_zone, uuid, uuid_null},
};

use crate::table::{drop_all, index, reference};

const RUNNING_COMPLETIONS: &str = "running_completions";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(running_completions()).await?;
        for column in ["owner_id", "expires_at"] {
            manager.create_index(index(RUNNING_COMPLETIONS, &[column])).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_all(manager, &[RUNNING_COMPLETIONS]).await
    }
}

/// A row goes when its completion is settled, and with its owner.
fn running_completions() -> TableCreateStatement {
    let cascade = ForeignKeyAction::Cascade;
    Table::create()
        .table(RUNNING_COMPLETIONS)
        .col(pk_uuid("id"))
        .col(uuid("owner_id"))
        // No foreign key: what a revoked or deleted key asked for still counts for its owner.
        .col(uuid_null("api_key_id"))
        // The calendar month (UTC) that it is counted in, as YYYY-MM.
        .col(text("period"))
        .col(big_integer("reserved_tokens"))
        .col(timestamp_with_time_zone("expires_at"))
        .foreign_key(&mut reference(RUNNING_COMPLETIONS, "owner_id", "users", cascade))
        .take()
}
