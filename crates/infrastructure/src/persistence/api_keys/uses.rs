//! When keys were used last.

use std::{error::Error, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use moka::sync::Cache;
use repartee_application::ports::{PortError, Spawner};
use repartee_domain::{ApiKeyId, audit::AuditEntry};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, UpdateMany, sea_query::Expr};

use crate::persistence::{
    Database, audit,
    entity::api_key::{Column, Entity},
    error::database,
};

const EVERY: TimeDelta = TimeDelta::minutes(1);
/// A key that is used all the time is written at the first use of each minute, while what is
/// remembered of it still says that it is due.
const NOTED_FOR: Duration = Duration::from_secs(5);
const CAPACITY: u64 = 10_000;

pub(super) struct Uses {
    db: Database,
    spawner: Arc<dyn Spawner>,
    /// What is being written, or was a moment ago.
    noted: Cache<ApiKeyId, ()>,
}

impl Uses {
    pub(super) fn new(db: Database, spawner: Arc<dyn Spawner>) -> Self {
        let noted = Cache::builder().max_capacity(CAPACITY).time_to_live(NOTED_FOR).build();
        Self { db, spawner, noted }
    }

    pub(super) fn note(&self, id: ApiKeyId, now: DateTime<Utc>, first: AuditEntry) {
        if !self.noted.entry(id).or_insert(()).is_fresh() {
            return;
        }
        let db = self.db.clone();
        self.spawner.spawn(Box::pin(async move {
            if let Err(error) = write(&db, id, now, first).await {
                let error = &error as &dyn Error;
                tracing::warn!(error, key = %id, "cannot note that a key was used");
            }
        }));
    }
}

async fn write(
    db: &Database,
    id: ApiKeyId,
    now: DateTime<Utc>,
    first: AuditEntry,
) -> Result<(), PortError> {
    db.write(move |tx| {
        Box::pin(async move {
            // Of any number of processes that see a first use, one does.
            let unused = using(id, now).filter(Column::LastUsedAt.is_null());
            if unused.exec(tx).await.map_err(database)?.rows_affected > 0 {
                return audit::record(tx, first).await;
            }
            let long_ago = Column::LastUsedAt.lte(now - EVERY);
            using(id, now).filter(long_ago).exec(tx).await.map(drop).map_err(database)
        })
    })
    .await
}

fn using(id: ApiKeyId, now: DateTime<Utc>) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::LastUsedAt, Expr::value(now))
        .filter(Column::Id.eq(id.as_uuid()))
}
