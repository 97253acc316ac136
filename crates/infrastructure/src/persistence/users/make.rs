//! A user whom an administrator makes.

use repartee_application::ports::{NewKey, PasswordHash, PortError, UsedKey};
use repartee_domain::{UserId, accounts::User, audit::AuditEntry};
use sea_orm::{EntityTrait, IntoActiveModel};

use super::{TABLE, UNIQUE, row};
use crate::persistence::{
    Database, Transaction, audit,
    entity::user::{Entity, Model},
    error::taken,
    idempotency,
};

pub(super) async fn make(
    db: &Database,
    user: &User,
    password: &PasswordHash,
    maker: UserId,
    key: Option<NewKey>,
    entry: AuditEntry,
) -> Result<Option<UsedKey>, PortError> {
    let (id, now) = (user.id.as_uuid(), user.created_at);
    let row = row(user, password);
    let Some(key) = key else {
        db.write(move |tx| Box::pin(store(tx, row, entry))).await?;
        return Ok(None);
    };
    idempotency::unless_used(db, maker, &key, now, || {
        let (row, its_key, entry) = (row.clone(), key.clone(), entry.clone());
        db.write(move |tx| {
            Box::pin(async move {
                // First: a repeated request must not fail for its own address being taken.
                idempotency::claim(tx, maker, &its_key, id, now).await?;
                store(tx, row, entry).await
            })
        })
    })
    .await
}

async fn store(tx: &Transaction, row: Model, entry: AuditEntry) -> Result<(), PortError> {
    let insert = Entity::insert(row.into_active_model());
    insert.exec_without_returning(tx).await.map_err(taken(TABLE, &UNIQUE))?;
    audit::record(tx, entry).await
}
