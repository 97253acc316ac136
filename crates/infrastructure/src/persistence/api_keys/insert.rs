//! A new key, of which its owner may have so many.

use chrono::{DateTime, Utc};
use repartee_application::ports::{KeyInserted, NewKey, PortError, SecretHash};
use repartee_domain::{UserId, accounts::ApiKey, audit::AuditEntry};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::LockType,
};

use super::{owned_by, row::to_row};
use crate::persistence::{
    Database, Transaction, audit,
    entity::{
        api_key::{Column, Entity},
        user,
    },
    error::{TooMany, database, unless_too_many},
    idempotency,
};

pub(super) async fn insert(
    db: &Database,
    key: ApiKey,
    secret: SecretHash,
    most: u32,
    idempotency: Option<NewKey>,
    entry: AuditEntry,
) -> Result<KeyInserted, PortError> {
    let (id, owner, now) = (key.id.as_uuid(), key.owner, key.created_at);
    let row = to_row(key, secret)?;
    let store = |claimed: Option<NewKey>| {
        let (row, entry) = (row.clone(), entry.clone());
        db.write(move |tx| {
            Box::pin(async move {
                lock(tx, owner).await?;
                // Before they are counted: a repeated request is not one too many.
                if let Some(claimed) = claimed {
                    idempotency::claim(tx, owner, &claimed, id, now).await?;
                }
                if count_live(tx, owner, now).await? >= u64::from(most) {
                    return Err(TooMany.into());
                }
                let insert = Entity::insert(row.into_active_model());
                insert.exec_without_returning(tx).await.map_err(database)?;
                audit::record(tx, entry).await
            })
        })
    };
    let inserted = match &idempotency {
        None => store(None).await.map(|()| None),
        Some(key) => {
            let store = || store(Some(key.clone()));
            idempotency::unless_used(db, owner, key, now, store).await
        }
    };
    Ok(match unless_too_many(inserted)? {
        None => KeyInserted::TooMany,
        Some(None) => KeyInserted::Done,
        Some(Some(used)) => KeyInserted::DoneBefore(used),
    })
}

/// On PostgreSQL, so that of two at once one counts the other's.
async fn lock(tx: &Transaction, owner: UserId) -> Result<(), PortError> {
    let locked = user::Entity::find_by_id(owner.as_uuid()).lock(LockType::NoKeyUpdate);
    locked.one(tx).await.map_err(database)?.map(drop).ok_or(PortError::Stale)
}

async fn count_live(tx: &Transaction, owner: UserId, now: DateTime<Utc>) -> Result<u64, PortError> {
    let live = owned_by(owner)
        .filter(Column::RevokedAt.is_null())
        .filter(Column::ExpiresAt.is_null().or(Column::ExpiresAt.gt(now)));
    live.count(tx).await.map_err(database)
}
