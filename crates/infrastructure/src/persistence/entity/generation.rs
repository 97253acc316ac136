//! The `generations` table.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[expect(clippy::struct_field_names, reason = "the column is named after the language model")]
#[sea_orm(table_name = "generations")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub owner_id: Uuid,
    pub conversation_id: Uuid,
    pub user_message_id: Uuid,
    pub message_id: Uuid,
    pub state: String,
    pub model: String,
    pub attempts: i64,
    pub failure: Option<String>,
    pub lease_owner: Uuid,
    pub lease_until: DateTimeUtc,
    /// The terminal event's number.
    pub last_seq: Option<i64>,
    pub terminal_kind: Option<String>,
    pub terminal_event: Option<Vec<u8>>,
    pub created_at: DateTimeUtc,
    pub ended_at: Option<DateTimeUtc>,
    pub cancel_requested_at: Option<DateTimeUtc>,
    /// The key that asked for it.
    pub api_key_id: Option<Uuid>,
    /// Of the month's tokens, while it runs; `NULL` for none.
    pub reserved_tokens: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {
    #[sea_orm(
        belongs_to = "super::message::Entity",
        from = "Column::MessageId",
        to = "super::message::Column::Id"
    )]
    Reply,
}

impl ActiveModelBehavior for ActiveModel {}
