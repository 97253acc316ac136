//! What users think of replies.

use sea_orm_migration::{
    prelude::*,
    schema::{pk_uuid, text, text_null, timestamp_with_time_zone},
};

use crate::table::{drop_all, reference};

const MESSAGE_FEEDBACK: &str = "message_feedback";

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(MESSAGE_FEEDBACK)
            .col(pk_uuid("message_id"))
            .col(text("rating"))
            .col(text_null("comment"))
            .col(timestamp_with_time_zone("given_at"))
            .foreign_key(&mut reference(
                MESSAGE_FEEDBACK,
                "message_id",
                "messages",
                ForeignKeyAction::Cascade,
            ))
            .take();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_all(manager, &[MESSAGE_FEEDBACK]).await
    }
}
