//! Projects with their members and prompts.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, boolean, pk_auto, text, text_null, timestamp_with_time_zone, uuid, uuid_null,
    },
};

use super::{shape_conversations, unshape_conversations};
use crate::table::{drop_all, index, reference};

const PROJECTS: &str = "projects";
const MEMBERS: &str = "project_members";
const PROMPTS: &str = "prompts";
const VERSIONS: &str = "prompt_versions";

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    manager.create_table(projects()).await?;
    manager.create_index(index(PROJECTS, &["owner_id"])).await?;
    manager.create_table(members()).await?;
    // The order of lists, and the foreign key.
    manager.create_index(index(MEMBERS, &["user_id", "project_id"])).await?;
    manager.create_index(index(MEMBERS, &["conversation_id"])).await?;
    manager.create_table(prompts()).await?;
    manager.create_index(index(PROMPTS, &["project_id", "position", "id"])).await?;
    manager.create_table(versions()).await?;
    manager.create_index(index(VERSIONS, &["changed_by"])).await?;
    shape_conversations(manager, "project_id", PROJECTS).await
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    unshape_conversations(manager, "project_id").await?;
    drop_all(manager, &[VERSIONS, PROMPTS, MEMBERS, PROJECTS]).await
}

fn projects() -> TableCreateStatement {
    Table::create()
        .table(PROJECTS)
        .col(pk_auto("id").big_integer())
        .col(uuid("owner_id"))
        .col(text("name"))
        .col(text_null("description"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .col(big_integer("version"))
        .foreign_key(&mut reference(PROJECTS, "owner_id", "users", ForeignKeyAction::Cascade))
        .take()
}

fn members() -> TableCreateStatement {
    Table::create()
        .table(MEMBERS)
        .col(big_integer("project_id"))
        .col(uuid("user_id"))
        // owner, editor or viewer.
        .col(text("role"))
        // The conversation that clients mean who name none.
        .col(uuid_null("conversation_id"))
        .col(timestamp_with_time_zone("added_at"))
        .primary_key(Index::create().col("project_id").col("user_id"))
        .foreign_key(&mut reference(MEMBERS, "project_id", PROJECTS, ForeignKeyAction::Cascade))
        .foreign_key(&mut reference(MEMBERS, "user_id", "users", ForeignKeyAction::Cascade))
        .foreign_key(&mut reference(
            MEMBERS,
            "conversation_id",
            "conversations",
            ForeignKeyAction::SetNull,
        ))
        .take()
}

fn prompts() -> TableCreateStatement {
    Table::create()
        .table(PROMPTS)
        .col(pk_auto("id").big_integer())
        .col(big_integer("project_id"))
        .col(text_null("name"))
        .col(text("content"))
        .col(big_integer("position"))
        .col(boolean("is_active"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .col(big_integer("version"))
        .foreign_key(&mut reference(PROMPTS, "project_id", PROJECTS, ForeignKeyAction::Cascade))
        .take()
}

/// What each version of a prompt said, the present one among them.
fn versions() -> TableCreateStatement {
    Table::create()
        .table(VERSIONS)
        .col(big_integer("prompt_id"))
        .col(big_integer("version"))
        .col(text_null("name"))
        .col(text("content"))
        // Null where they were deleted since.
        .col(uuid_null("changed_by"))
        .col(timestamp_with_time_zone("at"))
        .primary_key(Index::create().col("prompt_id").col("version"))
        .foreign_key(&mut reference(VERSIONS, "prompt_id", PROMPTS, ForeignKeyAction::Cascade))
        .foreign_key(&mut reference(VERSIONS, "changed_by", "users", ForeignKeyAction::SetNull))
        .take()
}
