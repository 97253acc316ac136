//! Who is in a project.

use chrono::{DateTime, Utc};
use repartee_application::{
    Page, PageRequest,
    ports::{PortError, ProjectMember},
};
use repartee_domain::{ProjectId, UserId, audit::AuditEntry, projects::ProjectRole};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, FromQueryResult, IntoActiveModel, JoinType,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, RelationTrait, Select,
    sea_query::{Expr, LockType, OnConflict},
};
use uuid::Uuid;

use crate::persistence::{
    Database, Transaction, audit,
    entity::{
        project,
        project_member::{Column, Entity, Model, Relation},
        user,
    },
    error::{TooMany, database, gone_or_taken, unless_too_many},
    stored::{corrupt, parsed},
};

pub(super) struct NewMember {
    pub(super) project: ProjectId,
    pub(super) user: UserId,
    pub(super) role: ProjectRole,
    pub(super) now: DateTime<Utc>,
}

pub(super) async fn list(
    db: &Database,
    id: ProjectId,
    page: PageRequest<UserId>,
) -> Result<Page<ProjectMember, UserId>, PortError> {
    let mut rows = members_of(id).order_by_asc(Column::UserId).limit(u64::from(page.limit) + 1);
    if let Some(after) = page.after {
        rows = rows.filter(Column::UserId.gt(after.as_uuid()));
    }
    let rows = rows.into_model::<Named>().all(db.reader()).await.map_err(database)?;
    let members = rows.into_iter().map(ProjectMember::try_from).collect::<Result<_, _>>()?;
    Ok(Page::of(members, page.limit, |member: &ProjectMember| member.user))
}

pub(super) async fn put(
    db: &Database,
    new: NewMember,
    most: u32,
    entry: AuditEntry,
) -> Result<Option<ProjectMember>, PortError> {
    let put = db.write(move |tx| {
        Box::pin(async move {
            lock(tx, new.project).await?;
            store(tx, &new).await?;
            let members = Entity::find().filter(Column::ProjectId.eq(new.project.get()));
            if members.count(tx).await.map_err(database)? > u64::from(most) {
                return Err(TooMany.into());
            }
            audit::record(tx, entry).await?;
            let row = members_of(new.project)
                .filter(Column::UserId.eq(new.user.as_uuid()))
                .into_model::<Named>()
                .one(tx)
                .await
                .map_err(database)?;
            row.ok_or_else(|| corrupt("the member that was stored is not there"))?.try_into()
        })
    });
    unless_too_many(put.await)
}

pub(super) async fn remove(
    db: &Database,
    id: ProjectId,
    user: UserId,
    entry: AuditEntry,
) -> Result<bool, PortError> {
    let delete = Entity::delete_many()
        .filter(Column::ProjectId.eq(id.get()))
        .filter(Column::UserId.eq(user.as_uuid()))
        .filter(is_no_owner());
    db.write(move |tx| {
        Box::pin(async move {
            if delete.exec(tx).await.map_err(database)?.rows_affected == 0 {
                return Ok(false);
            }
            audit::record(tx, entry).await.map(|()| true)
        })
    })
    .await
}

/// On PostgreSQL, so that of two at once one counts the other's.
async fn lock(tx: &Transaction, id: ProjectId) -> Result<(), PortError> {
    let locked = project::Entity::find_by_id(id.get()).lock(LockType::NoKeyUpdate);
    locked.one(tx).await.map_err(database)?.map(drop).ok_or(PortError::Stale)
}

/// Whoever is a member keeps the time at which they came.
async fn store(tx: &Transaction, new: &NewMember) -> Result<(), PortError> {
    let row = Model {
        project_id: new.project.get(),
        user_id: new.user.as_uuid(),
        role: new.role.as_str().to_owned(),
        conversation_id: None,
        added_at: new.now,
    };
    let mut another_role = OnConflict::columns([Column::ProjectId, Column::UserId]);
    another_role.update_column(Column::Role).action_and_where(is_no_owner());
    let insert = Entity::insert(row.into_active_model()).on_conflict(another_role);
    let stored = insert.exec_without_returning(tx).await;
    stored.map(drop).map_err(gone_or_taken("project_members", &[]))
}

fn is_no_owner() -> Expr {
    Expr::col((Entity, Column::Role)).ne(ProjectRole::Owner.as_str())
}

fn members_of(id: ProjectId) -> Select<Entity> {
    Entity::find()
        .select_only()
        .columns([Column::UserId, Column::Role, Column::AddedAt])
        .column(user::Column::Username)
        .join(JoinType::InnerJoin, Relation::User.def())
        .filter(Column::ProjectId.eq(id.get()))
}

#[derive(FromQueryResult)]
struct Named {
    user_id: Uuid,
    username: Option<String>,
    role: String,
    added_at: DateTime<Utc>,
}

impl TryFrom<Named> for ProjectMember {
    type Error = PortError;

    fn try_from(row: Named) -> Result<Self, PortError> {
        Ok(Self {
            user: UserId::from_uuid(row.user_id),
            username: row.username,
            role: parsed(&row.role)?,
            added_at: row.added_at,
        })
    }
}
