//! The `single_use_secrets` table.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "single_use_secrets")]
pub(crate) struct Model {
    /// SHA-256.
    #[sea_orm(primary_key, auto_increment = false)]
    pub secret_hash: Vec<u8>,
    pub purpose: String,
    pub user_id: Uuid,
    pub session_id: Option<Uuid>,
    /// Of a ticket that a token of another issuer got.
    pub token_expires_at: Option<DateTimeUtc>,
    pub generation_id: Option<Uuid>,
    pub expires_at: DateTimeUtc,
    pub resumes_until: DateTimeUtc,
    pub spent_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
