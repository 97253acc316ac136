//! A new file, of which a project may have so many.

use repartee_application::ports::{Made, NewFile, NewKey, PortError};
use repartee_domain::{ProjectId, files::File};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::LockType,
};

use crate::persistence::{
    Database, Transaction,
    entity::{
        doomed_object,
        file::{ActiveModel, Column, Entity},
        project,
    },
    error::{TooMany, database, gone_or_taken, unless_too_many},
    idempotency,
    stored::corrupt,
};

pub(super) async fn insert(
    db: &Database,
    file: NewFile,
    most: u32,
    key: Option<NewKey>,
) -> Result<Option<Made<File>>, PortError> {
    let (owner, now) = (file.owner, file.now);
    let made = idempotency::once(db, owner, key.as_ref(), now, |key| {
        let file = file.clone();
        db.write(move |tx| {
            Box::pin(async move {
                lock(tx, file.project).await?;
                keep_object(tx, &file).await?;
                let stored = store(tx, file).await?;
                if let Some(key) = key {
                    idempotency::claim(tx, owner, &key, stored.id.as_uuid(), now).await?;
                }
                let all = Entity::find().filter(Column::ProjectId.eq(stored.project.get()));
                if all.count(tx).await.map_err(database)? > u64::from(most) {
                    return Err(TooMany.into());
                }
                Ok(stored)
            })
        })
    });
    unless_too_many(made.await)
}

/// On PostgreSQL, so that of two at once one counts the other's.
async fn lock(tx: &Transaction, id: ProjectId) -> Result<(), PortError> {
    let locked = project::Entity::find_by_id(id.get()).lock(LockType::NoKeyUpdate);
    locked.one(tx).await.map_err(database)?.map(drop).ok_or(PortError::Stale)
}

/// Ends the reservation, unless somebody took the object to delete it: that changes its time.
async fn keep_object(tx: &Transaction, file: &NewFile) -> Result<(), PortError> {
    let kept = doomed_object::Entity::delete_by_id(file.content.object.as_uuid())
        .filter(doomed_object::Column::DueAt.eq(file.reserved_until));
    match kept.exec(tx).await.map_err(database)?.rows_affected {
        0 => Err(PortError::Stale),
        _ => Ok(()),
    }
}

async fn store(tx: &Transaction, file: NewFile) -> Result<File, PortError> {
    let content = file.content;
    let row = ActiveModel {
        id: NotSet,
        owner_id: Set(file.owner.as_uuid()),
        project_id: Set(file.project.get()),
        name: Set(content.name.as_str().to_owned()),
        content_type: Set(content.media_type),
        bytes: Set(i64::try_from(content.bytes).map_err(corrupt)?),
        sha256: Set(content.sha256.to_vec()),
        storage_key: Set(content.object.as_uuid()),
        created_at: Set(file.now),
    };
    let stored = Entity::insert(row).exec_with_returning(tx).await;
    stored.map_err(gone_or_taken("files", &[]))?.try_into()
}
