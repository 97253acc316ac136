//! The `conversations` table.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[expect(clippy::struct_field_names, reason = "the column is named after the language model")]
#[sea_orm(table_name = "conversations")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub code: String,
    pub owner_id: Uuid,
    pub title: Option<String>,
    /// The title in lower case.
    pub title_key: Option<String>,
    pub system_message: Option<String>,
    pub model: Option<String>,
    pub status: String,
    pub metadata: Option<String>,
    pub persona_id: Option<i64>,
    pub project_id: Option<i64>,
    pub last_message_at: Option<DateTimeUtc>,
    pub last_activity_at: DateTimeUtc,
    pub is_branched: bool,
    pub ended_at: Option<DateTimeUtc>,
    /// SHA-256 of what a guest's client knows it by.
    pub guest_key_hash: Option<Vec<u8>>,
    /// When a guest's is deleted.
    pub expires_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
