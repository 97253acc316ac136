//! The `audit_logs` table.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_logs")]
pub(crate) struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub user_id: Option<Uuid>,
    pub actor: String,
    pub action: String,
    pub resource: Option<String>,
    pub resource_id: Option<String>,
    pub outcome: String,
    /// A JSON object.
    pub details: String,
    /// Of an entry about nobody known.
    pub ip_address: Option<String>,
    /// Encrypted with the key of `user_id`.
    pub personal: Option<Vec<u8>>,
    pub request_id: Option<String>,
    pub at: DateTimeUtc,
    /// In the hash chain; null until it is sealed.
    pub position: Option<i64>,
    pub previous_hash: Option<Vec<u8>>,
    pub hash: Option<Vec<u8>>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
