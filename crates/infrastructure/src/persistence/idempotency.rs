//! Idempotency keys in the database.

use std::future::Future;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::ports::{Done, IdempotencyKeys, Made, NewKey, PortError, UsedKey};
use repartee_domain::{GenerationId, MessageId, UserId};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement,
    sea_query::{Expr, ExprTrait, LockBehavior, LockType, Query},
};
use uuid::Uuid;

use super::{
    Database, Transaction,
    batch::statement,
    entity::idempotency_key::{Column, Entity, Model},
    error::database,
    stored::corrupt,
};

/// A key that is alive refuses the row; one that expired is taken over.
const UNLESS_ALIVE: &str = " ON CONFLICT (owner_id, route, key) DO UPDATE SET \
    fingerprint = excluded.fingerprint, generation_id = excluded.generation_id, \
    message_id = excluded.message_id, resource_id = excluded.resource_id, expires_at = excluded.expires_at, \
    created_at = excluded.created_at \
    WHERE idempotency_keys.expires_at <= excluded.created_at";
/// From the row that it points at: where that was not stored, neither is the key.
const OF_TURN: &str = "INSERT INTO idempotency_keys (owner_id, route, key, fingerprint, \
    expires_at, created_at, generation_id) SELECT ?, ?, ?, ?, ?, ?, id FROM generations WHERE id = ?";
const OF_MESSAGE: &str = "INSERT INTO idempotency_keys (owner_id, route, key, fingerprint, \
    expires_at, created_at, message_id) SELECT ?, ?, ?, ?, ?, ?, id FROM messages WHERE id = ?";
const OF_RESOURCE: &str = "INSERT INTO idempotency_keys (owner_id, route, key, fingerprint, \
    expires_at, created_at, resource_id) VALUES (?, ?, ?, ?, ?, ?, ?)";

/// For a key that is in use, and is not any more when it is looked at.
const TRIES: u32 = 3;

pub struct SeaIdempotencyKeys {
    db: Database,
}

impl SeaIdempotencyKeys {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl IdempotencyKeys for SeaIdempotencyKeys {
    async fn find(
        &self,
        owner: UserId,
        route: &'static str,
        key: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<UsedKey>, PortError> {
        used(&self.db, owner, route, key, now).await
    }

    async fn forget(&self, now: DateTime<Utc>, limit: u32) -> Result<u64, PortError> {
        let columns = [Column::OwnerId, Column::Route, Column::Key];
        let expired = Query::select()
            .columns(columns)
            .from(Entity)
            .and_where(Column::ExpiresAt.lte(now))
            .limit(u64::from(limit))
            // One that goes with its conversation at this moment is not waited for.
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .take();
        let delete =
            Entity::delete_many().filter(Expr::tuple(columns.map(Expr::col)).in_subquery(expired));
        let deleted = self
            .db
            .write(move |tx| Box::pin(async move { delete.exec(tx).await.map_err(database) }))
            .await?;
        Ok(deleted.rows_affected)
    }
}

/// Stores a key for what this transaction stored before: one row, or none where it is in use.
pub(super) fn insertion(
    backend: DbBackend,
    owner: UserId,
    key: &NewKey,
    done: Done,
    now: DateTime<Utc>,
) -> Statement {
    let (insert, id) = match done {
        Done::Turn(id) => (OF_TURN, id.as_uuid()),
        Done::Message(id) => (OF_MESSAGE, id.as_uuid()),
        Done::Resource(id) => (OF_RESOURCE, id),
    };
    let values = [
        owner.as_uuid().into(),
        key.route.into(),
        key.key.as_str().into(),
        key.fingerprint.to_vec().into(),
        key.expires_at.into(),
        now.into(),
        id.into(),
    ];
    statement(backend, &format!("{insert}{UNLESS_ALIVE}"), values)
}

/// Stores a key for what this transaction is about to store: who uses the same one waits for its
/// end.
///
/// # Errors
/// [`PortError::Stale`] where the key is in use.
pub(super) async fn claim(
    tx: &Transaction,
    owner: UserId,
    key: &NewKey,
    resource: Uuid,
    now: DateTime<Utc>,
) -> Result<(), PortError> {
    let backend = tx.get_database_backend();
    let claim = insertion(backend, owner, key, Done::Resource(resource), now);
    match tx.execute_raw(claim).await.map_err(database)?.rows_affected() {
        0 => Err(PortError::Stale),
        _ => Ok(()),
    }
}

/// Runs a transaction that stores a key; where it ends as [`PortError::Stale`], gives what the key
/// was used for.
///
/// # Errors
/// Those of the transaction.
pub(super) async fn unless_used<F>(
    db: &Database,
    owner: UserId,
    key: &NewKey,
    now: DateTime<Utc>,
    store: impl Fn() -> F + Send,
) -> Result<Option<UsedKey>, PortError>
where
    F: Future<Output = Result<(), PortError>> + Send,
{
    once(db, owner, Some(key), now, move |_| store()).await.map(used_before)
}

/// What the key of something was used for before, if it was.
pub(super) fn used_before(made: Made<()>) -> Option<UsedKey> {
    match made {
        Made::Now(()) => None,
        Made::Before(used) => Some(used),
    }
}

/// As [`unless_used`], for what gives something. Where another request under the same key was
/// faster, the transaction may as well end as [`PortError::Taken`], by what that one stored.
pub(super) async fn once<T, F>(
    db: &Database,
    owner: UserId,
    key: Option<&NewKey>,
    now: DateTime<Utc>,
    store: impl Fn(Option<NewKey>) -> F + Send,
) -> Result<Made<T>, PortError>
where
    F: Future<Output = Result<T, PortError>> + Send,
{
    let Some(key) = key else { return store(None).await.map(Made::Now) };
    for _ in 0..TRIES {
        let refusal = match store(Some(key.clone())).await {
            Ok(made) => return Ok(Made::Now(made)),
            Err(refusal @ (PortError::Stale | PortError::Taken { .. })) => refusal,
            Err(error) => return Err(error),
        };
        if let Some(used) = used(db, owner, key.route, &key.key, now).await? {
            return Ok(Made::Before(used));
        }
        if matches!(refusal, PortError::Taken { .. }) {
            return Err(refusal);
        }
        // The one that was in the way expired meanwhile, or was forgotten.
    }
    Err(PortError::Stale)
}

/// What a key was used for, unless that expired by `now`.
pub(super) async fn used(
    db: &Database,
    owner: UserId,
    route: &str,
    key: &str,
    now: DateTime<Utc>,
) -> Result<Option<UsedKey>, PortError> {
    let row = Entity::find()
        .filter(Column::OwnerId.eq(owner.as_uuid()))
        .filter(Column::Route.eq(route))
        .filter(Column::Key.eq(key))
        .filter(Column::ExpiresAt.gt(now))
        .one(db.reader())
        .await
        .map_err(database)?;
    row.map(UsedKey::try_from).transpose()
}

impl TryFrom<Model> for UsedKey {
    type Error = PortError;

    fn try_from(row: Model) -> Result<Self, PortError> {
        let done = match (row.generation_id, row.message_id, row.resource_id) {
            (Some(id), None, None) => Done::Turn(GenerationId::from_uuid(id)),
            (None, Some(id), None) => Done::Message(MessageId::from_uuid(id)),
            (None, None, Some(id)) => Done::Resource(id),
            _ => return Err(corrupt("a key points at one thing")),
        };
        let fingerprint = row.fingerprint.try_into().map_err(|_| corrupt("not a SHA-256"))?;
        Ok(Self { fingerprint, done })
    }
}
