//! Change feeds in the database.

mod changes;
mod forget;
mod poll;
mod tell;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use repartee_application::ports::{Changes, FeedLog, PortError, Spawner, Watched};
use repartee_domain::{ConversationId, UserId};
use sea_orm::{EntityTrait, QuerySelect};

use super::{
    Database,
    entity::feed::{Column, Entity},
    error::database,
    stored::number,
};

pub(super) use self::tell::{Told, telling};

pub struct SeaFeedLog {
    db: Database,
    spawner: Arc<dyn Spawner>,
}

impl SeaFeedLog {
    /// The spawner runs the one task that asks for what other processes stored, while somebody
    /// watches and where there may be other processes.
    pub fn new(db: Database, spawner: Arc<dyn Spawner>) -> Self {
        Self { db, spawner }
    }
}

#[async_trait]
impl FeedLog for SeaFeedLog {
    async fn newest(&self, owner: UserId) -> Result<u64, PortError> {
        let newest: Option<i64> = Entity::find_by_id(owner.as_uuid())
            .select_only()
            .column(Column::LastSeq)
            .into_tuple()
            .one(self.db.reader())
            .await
            .map_err(database)?;
        newest.map_or(Ok(0), number)
    }

    async fn changes_after(
        &self,
        owner: UserId,
        conversation: Option<ConversationId>,
        after: u64,
        limit: u32,
    ) -> Result<Option<Changes>, PortError> {
        changes::after(&self.db, owner, conversation, after, limit).await
    }

    fn watch(&self, owner: UserId, what: Watched) -> BoxStream<'static, ()> {
        let watching = self.db.bell().watch(owner, what);
        if !self.db.is_single_process() {
            poll::start(&self.db, self.spawner.as_ref());
        }
        let rings = stream::unfold(watching, |mut watching| async move {
            watching.rung().await;
            Some(((), watching))
        });
        stream::once(async {}).chain(rings).boxed()
    }

    async fn forget(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, PortError> {
        forget::forget(&self.db, before, limit).await
    }
}
