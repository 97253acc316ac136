//! Keys for programs in the database.

mod insert;
mod row;
mod uses;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::{
    Page, PageRequest,
    ports::{
        ApiKeyRepository, GoodKey, KeyInserted, KeyName, NewKey, PortError, SecretHash, Spawner,
        Watched,
    },
};
use repartee_domain::{ApiKeyId, UserId, accounts::ApiKey, audit::AuditEntry};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder, QuerySelect,
    RelationTrait, Select, sea_query::Expr,
};

use self::uses::Uses;
use super::{
    Database, audit,
    entity::{
        api_key::{Column, Entity, Model, Relation},
        user,
    },
    error::database,
    feeds::{Told, telling},
    login_sessions::Principals,
    stored::parsed,
};

pub struct SeaApiKeyRepository {
    db: Database,
    good: Principals<KeyName, GoodKey>,
    uses: Uses,
}

impl SeaApiKeyRepository {
    /// The spawner runs what notes that keys were used.
    pub fn new(db: Database, spawner: Arc<dyn Spawner>) -> Self {
        let good = Principals::new(db.endings().clone());
        Self { uses: Uses::new(db.clone(), spawner), db, good }
    }
}

#[async_trait]
impl ApiKeyRepository for SeaApiKeyRepository {
    async fn insert(
        &self,
        key: ApiKey,
        secret: SecretHash,
        most: u32,
        idempotency: Option<NewKey>,
        entry: AuditEntry,
    ) -> Result<KeyInserted, PortError> {
        insert::insert(&self.db, key, secret, most, idempotency, entry).await
    }

    async fn list(
        &self,
        owner: UserId,
        page: PageRequest<ApiKeyId>,
    ) -> Result<Page<ApiKey, ApiKeyId>, PortError> {
        let mut rows = owned_by(owner).order_by_desc(Column::Id).limit(u64::from(page.limit) + 1);
        if let Some(before) = page.after {
            rows = rows.filter(Column::Id.lt(before.as_uuid()));
        }
        let rows = rows.all(self.db.reader()).await.map_err(database)?;
        let keys = rows.into_iter().map(ApiKey::try_from).collect::<Result<_, _>>()?;
        Ok(Page::of(keys, page.limit, |key: &ApiKey| key.id))
    }

    async fn revoke(
        &self,
        owner: UserId,
        id: ApiKeyId,
        now: DateTime<Utc>,
        entry: AuditEntry,
    ) -> Result<bool, PortError> {
        let known = owned_by(owner).filter(Column::Id.eq(id.as_uuid()));
        if known.one(self.db.reader()).await.map_err(database)?.is_none() {
            return Ok(false);
        }
        let revoke = Entity::update_many()
            .col_expr(Column::RevokedAt, Expr::value(now))
            .filter(Column::Id.eq(id.as_uuid()))
            .filter(Column::RevokedAt.is_null());
        let revoked = self
            .db
            .write_telling(owner, Watched::SessionEnds, move |tx| {
                Box::pin(async move {
                    let told = telling(tx, owner, now, &[Told::session_ended()]);
                    told.run(tx).await.map_err(database)?;
                    // Where nothing was revoked there is nothing to tell.
                    match revoke.exec(tx).await.map_err(database)?.rows_affected {
                        0 => Err(PortError::Stale),
                        _ => audit::record(tx, entry).await,
                    }
                })
            })
            .await;
        // Also where it failed: it may have been committed all the same.
        self.good.forget();
        match revoked {
            Ok(()) | Err(PortError::Stale) => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn find_good(
        &self,
        name: KeyName,
        now: DateTime<Utc>,
    ) -> Result<Option<GoodKey>, PortError> {
        if let Some(good) = self.good.get(&name, now) {
            return Ok(Some(good));
        }
        let moment = self.good.now();
        let is_named = match name {
            KeyName::Secret(hash) => Column::SecretHash.eq(hash.0.to_vec()),
            KeyName::Id(id) => Column::Id.eq(id.as_uuid()),
        };
        let row = Entity::find()
            .column_as(user::Column::Role, "role")
            .join(JoinType::InnerJoin, Relation::User.def())
            .filter(is_named)
            .filter(user::Column::IsActive.eq(true))
            .into_model::<WithRole>()
            .one(self.db.reader())
            .await
            .map_err(database)?;
        let Some(WithRole { key, role }) = row else { return Ok(None) };
        let key = ApiKey::try_from(key)?;
        if !key.is_good(now) {
            return Ok(None);
        }
        let end = key.expires_at.unwrap_or(DateTime::<Utc>::MAX_UTC);
        let good = GoodKey { key: Arc::new(key), role: parsed(&role)? };
        self.good.remember(name, good.clone(), end, moment);
        Ok(Some(good))
    }

    async fn record(&self, entry: AuditEntry) -> Result<(), PortError> {
        self.db.write(move |tx| Box::pin(audit::record(tx, entry))).await
    }

    fn note_use(&self, id: ApiKeyId, now: DateTime<Utc>, first: AuditEntry) {
        self.uses.note(id, now, first);
    }
}

#[derive(FromQueryResult)]
struct WithRole {
    #[sea_orm(nested)]
    key: Model,
    role: String,
}

/// Every read of somebody's keys starts here.
fn owned_by(owner: UserId) -> Select<Entity> {
    Entity::find().filter(Column::UserId.eq(owner.as_uuid()))
}
