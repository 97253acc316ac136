//! The objects that are to be deleted, in the database.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::ports::{ObjectLedger, PortError};
use repartee_domain::ObjectKey;
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    sea_query::{Expr, LockBehavior, LockType, Order, Query},
};

use super::{
    Database,
    entity::doomed_object::{Column, Entity, Model},
    error::database,
};

pub struct SeaObjectLedger {
    db: Database,
}

impl SeaObjectLedger {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl ObjectLedger for SeaObjectLedger {
    async fn reserve(&self, object: ObjectKey, until: DateTime<Utc>) -> Result<(), PortError> {
        let row = Model { storage_key: object.as_uuid(), due_at: until };
        let insert = Entity::insert(row.into_active_model());
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    insert.exec_without_returning(tx).await.map(drop).map_err(database)
                })
            })
            .await
    }

    async fn release(&self, object: ObjectKey, now: DateTime<Utc>) -> Result<(), PortError> {
        let release = Entity::update_many()
            .col_expr(Column::DueAt, Expr::value(now))
            .filter(Column::StorageKey.eq(object.as_uuid()));
        self.db
            .write(move |tx| {
                Box::pin(async move { release.exec(tx).await.map(drop).map_err(database) })
            })
            .await
    }

    async fn take(
        &self,
        now: DateTime<Utc>,
        again: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<ObjectKey>, PortError> {
        let due = Query::select()
            .column(Column::StorageKey)
            .from(Entity)
            .and_where(Column::DueAt.lte(now))
            .order_by(Column::DueAt, Order::Asc)
            .limit(u64::from(limit))
            // What another process takes at this moment is its own to delete.
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .take();
        let take = Entity::update_many()
            .col_expr(Column::DueAt, Expr::value(again))
            .filter(Column::StorageKey.in_subquery(due));
        let taken = self
            .db
            .write(move |tx| {
                Box::pin(async move { take.exec_with_returning(tx).await.map_err(database) })
            })
            .await?;
        Ok(taken.into_iter().map(|row| ObjectKey::from_uuid(row.storage_key)).collect())
    }

    async fn forget(&self, objects: Vec<ObjectKey>) -> Result<(), PortError> {
        let gone = objects.into_iter().map(ObjectKey::as_uuid);
        let delete = Entity::delete_many().filter(Column::StorageKey.is_in(gone));
        self.db
            .write(move |tx| {
                Box::pin(async move { delete.exec(tx).await.map(drop).map_err(database) })
            })
            .await
    }
}
