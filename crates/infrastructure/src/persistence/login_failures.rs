//! Failed log-ins in the database.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::ports::{LoginFailureRepository, LoginFailures, NameHash, PortError};
use repartee_domain::{accounts::wait_after, audit::AuditEntry};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::Expr,
};

use super::{
    Database, Transaction, audit,
    batch::statement,
    entity::login_failure::{Column, Entity},
    error::database,
    stored::number,
};

/// Counted in place, which locks the row until the wait is stored as well.
const COUNT: &str = "INSERT INTO login_failures (name_hash, failures, failed_at) VALUES (?, 1, ?) \
    ON CONFLICT (name_hash) DO UPDATE SET failures = login_failures.failures + 1, \
    failed_at = excluded.failed_at RETURNING failures";

pub struct SeaLoginFailureRepository {
    db: Database,
}

impl SeaLoginFailureRepository {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl LoginFailureRepository for SeaLoginFailureRepository {
    async fn find(&self, name: NameHash) -> Result<Option<LoginFailures>, PortError> {
        let row =
            Entity::find_by_id(name.0.to_vec()).one(self.db.reader()).await.map_err(database)?;
        row.map(|row| {
            Ok(LoginFailures { failures: number(row.failures)?, wait_until: row.wait_until })
        })
        .transpose()
    }

    async fn count(
        &self,
        name: NameHash,
        now: DateTime<Utc>,
        entry: AuditEntry,
    ) -> Result<(), PortError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let failures = count(tx, name, now).await?;
                    let wait = wait_after(failures);
                    if let Some(until) = wait.and_then(|wait| now.checked_add_signed(wait)) {
                        Entity::update_many()
                            .col_expr(Column::WaitUntil, Expr::value(until))
                            .filter(Column::NameHash.eq(name.0.to_vec()))
                            .exec(tx)
                            .await
                            .map_err(database)?;
                    }
                    audit::record(tx, entry).await
                })
            })
            .await
    }

    async fn clear(&self, name: NameHash) -> Result<(), PortError> {
        self.db.write(move |tx| Box::pin(async move { clear(tx, &[name]).await })).await
    }

    async fn forget(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, PortError> {
        let old = Entity::find()
            .select_only()
            .column(Column::NameHash)
            .filter(Column::FailedAt.lt(before))
            .limit(u64::from(limit))
            .into_query();
        let delete = Entity::delete_many().filter(Column::NameHash.in_subquery(old));
        let deleted = self
            .db
            .write(move |tx| Box::pin(async move { delete.exec(tx).await.map_err(database) }))
            .await?;
        Ok(deleted.rows_affected)
    }
}

/// How many there are now.
async fn count(tx: &Transaction, name: NameHash, now: DateTime<Utc>) -> Result<u32, PortError> {
    let values = [name.0.to_vec().into(), now.into()];
    let count = statement(tx.get_database_backend(), COUNT, values);
    let row = tx.query_one_raw(count).await.map_err(database)?;
    let failures: i64 = match row {
        Some(row) => row.try_get("", "failures").map_err(database)?,
        // Both databases give the row that they wrote.
        None => 1,
    };
    number(failures)
}

/// Forgets the failures of these names in this transaction.
pub(super) async fn clear(tx: &Transaction, names: &[NameHash]) -> Result<(), PortError> {
    Entity::delete_many()
        .filter(Column::NameHash.is_in(names.iter().map(|name| name.0.to_vec())))
        .exec(tx)
        .await
        .map(drop)
        .map_err(database)
}
