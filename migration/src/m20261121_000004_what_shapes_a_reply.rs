//! What shapes a reply: personas, and projects with their prompts.

use sea_orm_migration::prelude::*;

mod personas;
mod projects;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        personas::up(manager).await?;
        projects::up(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        projects::down(manager).await?;
        personas::down(manager).await
    }

    /// On SQLite too: a start that was cut off leaves nothing half done.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Adds to `conversations` what each may be shaped by; it stops pointing at what is deleted. SQLite
/// adds a foreign key with its column alone.
async fn shape_conversations(
    manager: &SchemaManager<'_>,
    column: &'static str,
    target: &str,
) -> Result<(), DbErr> {
    let add = format!(
        "ALTER TABLE conversations ADD COLUMN {column} bigint \
         REFERENCES {target} (id) ON DELETE SET NULL"
    );
    manager.get_connection().execute_unprepared(&add).await?;
    // The order of lists that are filtered by it, and the foreign key.
    let columns = [column, "owner_id", "last_activity_at", "id"];
    manager.create_index(crate::table::index("conversations", &columns)).await
}

async fn unshape_conversations(
    manager: &SchemaManager<'_>,
    column: &'static str,
) -> Result<(), DbErr> {
    let name = format!("conversations_{column}_owner_id_last_activity_at_id_idx");
    manager.drop_index(Index::drop().name(name).table("conversations").to_owned()).await?;
    let drop = Table::alter().table("conversations").drop_column(column).take();
    manager.alter_table(drop).await
}
