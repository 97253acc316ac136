//! Files of projects, and the objects that are to be deleted.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, blob, pk_auto, pk_uuid, text, timestamp_with_time_zone, uuid},
    sea_orm::DbBackend,
};

use crate::table::{drop_all, index, reference, unique};

const FILES: &str = "files";
const DOOMED: &str = "doomed_objects";

/// Whatever deletes a file, its object is deleted after it. By the database, since most files go with
/// a project or a user.
const SQLITE_TRIGGER: &str = "CREATE TRIGGER files_doom_object AFTER DELETE ON files BEGIN \
    INSERT INTO doomed_objects (storage_key, due_at) \
    VALUES (OLD.storage_key, '1970-01-01T00:00:00+00:00'); END";
const POSTGRES_TRIGGER: &str = "CREATE FUNCTION doom_object() RETURNS trigger LANGUAGE plpgsql AS $$ \
    BEGIN INSERT INTO doomed_objects (storage_key, due_at) \
    VALUES (OLD.storage_key, to_timestamp(0)); RETURN NULL; END $$; \
    CREATE TRIGGER files_doom_object AFTER DELETE ON files \
    FOR EACH ROW EXECUTE FUNCTION doom_object()";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(files()).await?;
        // The order of lists, and the foreign keys.
        manager.create_index(index(FILES, &["project_id", "id"])).await?;
        manager.create_index(index(FILES, &["owner_id"])).await?;
        manager.create_index(unique(FILES, &["storage_key"])).await?;
        manager.create_table(doomed_objects()).await?;
        manager.create_index(index(DOOMED, &["due_at"])).await?;
        let trigger = match manager.get_database_backend() {
            DbBackend::Sqlite => SQLITE_TRIGGER,
            _ => POSTGRES_TRIGGER,
        };
        manager.get_connection().execute_unprepared(trigger).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_all(manager, &[FILES, DOOMED]).await?;
        if manager.get_database_backend() != DbBackend::Sqlite {
            manager.get_connection().execute_unprepared("DROP FUNCTION doom_object()").await?;
        }
        Ok(())
    }

    /// On SQLite too: a start that was cut off leaves nothing half done.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn files() -> TableCreateStatement {
    let cascade = ForeignKeyAction::Cascade;
    Table::create()
        .table(FILES)
        .col(pk_auto("id").big_integer())
        // Who uploaded it.
        .col(uuid("owner_id"))
        .col(big_integer("project_id"))
        // To show; the bytes are kept under storage_key.
        .col(text("name"))
        .col(text("content_type"))
        .col(big_integer("bytes"))
        .col(blob("sha256"))
        .col(uuid("storage_key"))
        .col(timestamp_with_time_zone("created_at"))
        .foreign_key(&mut reference(FILES, "owner_id", "users", cascade))
        .foreign_key(&mut reference(FILES, "project_id", "projects", cascade))
        .take()
}

/// Objects that are reserved for a file which is not stored yet, and those of files that went.
fn doomed_objects() -> TableCreateStatement {
    Table::create()
        .table(DOOMED)
        .col(pk_uuid("storage_key"))
        .col(timestamp_with_time_zone("due_at"))
        .take()
}
