//! The `login_failures` table.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "login_failures")]
pub(crate) struct Model {
    /// SHA-256.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name_hash: Vec<u8>,
    pub failures: i64,
    pub failed_at: DateTimeUtc,
    pub wait_until: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
