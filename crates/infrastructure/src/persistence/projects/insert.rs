//! A new project, of which its owner may have so many.

use chrono::{DateTime, Utc};
use repartee_application::ports::{Made, NewKey, PortError};
use repartee_domain::{
    UserId, Version,
    projects::{Project, ProjectRole, Purpose},
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::LockType,
};

use crate::persistence::{
    Database, Transaction,
    entity::{
        project::{ActiveModel, Column, Entity},
        project_member, user,
    },
    error::{TooMany, database, unless_too_many},
    idempotency,
};

pub(super) async fn insert(
    db: &Database,
    owner: UserId,
    purpose: Purpose,
    most: u32,
    now: DateTime<Utc>,
    key: Option<NewKey>,
) -> Result<Option<Made<Project>>, PortError> {
    let row = ActiveModel {
        id: NotSet,
        owner_id: Set(owner.as_uuid()),
        name: Set(purpose.name),
        description: Set(purpose.description),
        created_at: Set(now),
        updated_at: Set(now),
        version: Set(Version::FIRST.get().into()),
    };
    let made = idempotency::once(db, owner, key.as_ref(), now, |key| {
        let row = row.clone();
        db.write(move |tx| {
            Box::pin(async move {
                lock(tx, owner).await?;
                let project = store(tx, row).await?;
                if let Some(key) = key {
                    idempotency::claim(tx, owner, &key, project.id.as_uuid(), now).await?;
                }
                let owned = Entity::find().filter(Column::OwnerId.eq(owner.as_uuid()));
                if owned.count(tx).await.map_err(database)? > u64::from(most) {
                    return Err(TooMany.into());
                }
                Ok(project)
            })
        })
    });
    unless_too_many(made.await)
}

/// On PostgreSQL, so that of two at once one counts the other's.
async fn lock(tx: &Transaction, owner: UserId) -> Result<(), PortError> {
    let locked = user::Entity::find_by_id(owner.as_uuid()).lock(LockType::NoKeyUpdate);
    locked.one(tx).await.map_err(database)?.map(drop).ok_or(PortError::Stale)
}

async fn store(tx: &Transaction, row: ActiveModel) -> Result<Project, PortError> {
    let project = Entity::insert(row).exec_with_returning(tx).await.map_err(database)?;
    let owner = project_member::Model {
        project_id: project.id,
        user_id: project.owner_id,
        role: ProjectRole::Owner.as_str().to_owned(),
        conversation_id: None,
        added_at: project.created_at,
    };
    let joined = project_member::Entity::insert(owner.into_active_model());
    joined.exec_without_returning(tx).await.map_err(database)?;
    project.try_into()
}
