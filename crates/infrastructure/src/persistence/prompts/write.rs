//! New prompts and changed ones. Each write keeps a version.

use repartee_application::ports::{Made, NewKey, NewPrompt, PortError};
use repartee_domain::{ProjectId, UserId, Version, projects::Prompt};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, EntityTrait, ExprTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, LockType},
};

use crate::persistence::{
    Database, Transaction,
    entity::{
        project,
        prompt::{ActiveModel, Column, Entity},
        prompt_version,
    },
    error::{TooMany, database, unless_too_many},
    idempotency,
};

pub(super) async fn insert(
    db: &Database,
    prompt: NewPrompt,
    most: u32,
    key: Option<NewKey>,
) -> Result<Option<Made<Prompt>>, PortError> {
    let (by, now) = (prompt.by, prompt.now);
    let made = idempotency::once(db, by, key.as_ref(), now, |key| {
        let prompt = prompt.clone();
        db.write(move |tx| {
            Box::pin(async move {
                lock(tx, prompt.project).await?;
                let stored = store(tx, prompt).await?;
                if let Some(key) = key {
                    idempotency::claim(tx, by, &key, stored.id.as_uuid(), now).await?;
                }
                let all = Entity::find().filter(Column::ProjectId.eq(stored.project.get()));
                if all.count(tx).await.map_err(database)? > u64::from(most) {
                    return Err(TooMany.into());
                }
                keep(tx, &stored, by).await?;
                Ok(stored)
            })
        })
    });
    unless_too_many(made.await)
}

pub(super) async fn save(db: &Database, prompt: Prompt, by: UserId) -> Result<Prompt, PortError> {
    let update = Entity::update_many()
        .col_expr(Column::Name, Expr::value(prompt.text.name.clone()))
        .col_expr(Column::Content, Expr::value(prompt.text.content.clone()))
        .col_expr(Column::Position, Expr::value(i64::from(prompt.position)))
        .col_expr(Column::IsActive, Expr::value(prompt.is_active))
        .col_expr(Column::UpdatedAt, Expr::value(prompt.updated_at))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(prompt.id.get()))
        .filter(Column::Version.eq(i64::from(prompt.version.get())));
    let saved = Prompt { version: prompt.version.next(), ..prompt };
    db.write(move |tx| {
        Box::pin(async move {
            match update.exec(tx).await.map_err(database)?.rows_affected {
                0 => Err(PortError::Stale),
                _ => keep(tx, &saved, by).await.map(|()| saved),
            }
        })
    })
    .await
}

/// On PostgreSQL, so that of two at once one counts the other's, and comes after it.
async fn lock(tx: &Transaction, id: ProjectId) -> Result<(), PortError> {
    let locked = project::Entity::find_by_id(id.get()).lock(LockType::NoKeyUpdate);
    locked.one(tx).await.map_err(database)?.map(drop).ok_or(PortError::Stale)
}

async fn store(tx: &Transaction, prompt: NewPrompt) -> Result<Prompt, PortError> {
    let position = match prompt.position {
        Some(position) => position.into(),
        None => last_position(tx, prompt.project).await?.saturating_add(1),
    };
    let row = ActiveModel {
        id: NotSet,
        project_id: Set(prompt.project.get()),
        name: Set(prompt.text.name),
        content: Set(prompt.text.content),
        position: Set(position),
        is_active: Set(prompt.is_active),
        created_at: Set(prompt.now),
        updated_at: Set(prompt.now),
        version: Set(Version::FIRST.get().into()),
    };
    Entity::insert(row).exec_with_returning(tx).await.map_err(database)?.try_into()
}

/// 0 where there is no prompt yet.
async fn last_position(tx: &Transaction, project: ProjectId) -> Result<i64, PortError> {
    let last: Option<Option<i64>> = Entity::find()
        .select_only()
        .column_as(Column::Position.max(), "last")
        .filter(Column::ProjectId.eq(project.get()))
        .into_tuple()
        .one(tx)
        .await
        .map_err(database)?;
    Ok(last.flatten().unwrap_or(0))
}

async fn keep(tx: &Transaction, prompt: &Prompt, by: UserId) -> Result<(), PortError> {
    let row = prompt_version::Model {
        prompt_id: prompt.id.get(),
        version: prompt.version.get().into(),
        name: prompt.text.name.clone(),
        content: prompt.text.content.clone(),
        changed_by: Some(by.as_uuid()),
        at: prompt.updated_at,
    };
    let insert = prompt_version::Entity::insert(row.into_active_model());
    insert.exec_without_returning(tx).await.map(drop).map_err(database)
}
