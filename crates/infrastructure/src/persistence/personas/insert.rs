//! A new persona, which gets its id by being stored.

use chrono::{DateTime, Utc};
use repartee_application::ports::{Made, NewKey, PortError};
use repartee_domain::{
    UserId, Version,
    audit::AuditEntry,
    personas::{Character, Persona},
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    EntityTrait, PaginatorTrait,
};

use super::{TABLE, UNIQUE};
use crate::persistence::{
    Database, Transaction, audit,
    entity::persona::{ActiveModel, Entity},
    error::{TooMany, database, taken, unless_too_many},
    idempotency,
};

pub(super) async fn insert(
    db: &Database,
    character: &Character,
    most: u32,
    now: DateTime<Utc>,
    maker: UserId,
    key: Option<NewKey>,
    entry: AuditEntry,
) -> Result<Option<Made<Persona>>, PortError> {
    let row = row(character, now);
    let made = idempotency::once(db, maker, key.as_ref(), now, |key| {
        let (row, entry) = (row.clone(), entry.clone());
        db.write(move |tx| {
            Box::pin(async move {
                let persona = store(tx, row).await?;
                // After it, for the key points at the id; a repeated request is none too many.
                if let Some(key) = key {
                    idempotency::claim(tx, maker, &key, persona.id.as_uuid(), now).await?;
                }
                if Entity::find().count(tx).await.map_err(database)? > u64::from(most) {
                    return Err(TooMany.into());
                }
                audit::record(tx, entry.on("persona", persona.id)).await?;
                Ok(persona)
            })
        })
    });
    unless_too_many(made.await)
}

async fn store(tx: &Transaction, row: ActiveModel) -> Result<Persona, PortError> {
    let stored = Entity::insert(row).exec_with_returning(tx).await;
    stored.map_err(taken(TABLE, &UNIQUE))?.try_into()
}

fn row(character: &Character, now: DateTime<Utc>) -> ActiveModel {
    let Character { name, system_prompt, expertise, description, icon, is_active } =
        character.clone();
    ActiveModel {
        id: NotSet,
        name: Set(name),
        system_prompt: Set(system_prompt),
        expertise: Set(expertise),
        description: Set(description),
        icon: Set(icon),
        is_active: Set(is_active),
        created_at: Set(now),
        updated_at: Set(now),
        version: Set(Version::FIRST.get().into()),
    }
}
