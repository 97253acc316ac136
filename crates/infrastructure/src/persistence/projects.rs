//! Projects and their members in the database.

mod insert;
mod members;
mod running;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::{
    Page, PageRequest,
    ports::{JoinedProject, Made, NewKey, PortError, ProjectMember, ProjectRepository},
};
use repartee_domain::{
    ProjectId, UserId,
    audit::AuditEntry,
    projects::{Project, ProjectRole, Purpose},
};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder,
    QuerySelect, RelationTrait, Select, sea_query::Expr,
};

pub use self::running::SeaProjectConversations;
use super::{
    Database,
    entity::{
        project::{Column, Entity, Model, Relation},
        project_member,
    },
    error::database,
    stored::{parsed, version},
};

pub struct SeaProjectRepository {
    db: Database,
}

impl SeaProjectRepository {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl ProjectRepository for SeaProjectRepository {
    async fn list(
        &self,
        user: UserId,
        page: PageRequest<ProjectId>,
    ) -> Result<Page<JoinedProject, ProjectId>, PortError> {
        // By the member's column, which the index is ordered by.
        let mut rows = joined_by(user)
            .order_by_desc(project_member::Column::ProjectId)
            .limit(u64::from(page.limit) + 1);
        if let Some(after) = page.after {
            rows = rows.filter(project_member::Column::ProjectId.lt(after.get()));
        }
        let rows = rows.into_model::<WithRole>().all(self.db.reader()).await.map_err(database)?;
        let projects = rows.into_iter().map(JoinedProject::try_from).collect::<Result<_, _>>()?;
        Ok(Page::of(projects, page.limit, |joined: &JoinedProject| joined.project.id))
    }

    async fn find(&self, user: UserId, id: ProjectId) -> Result<Option<JoinedProject>, PortError> {
        let row = joined_by(user)
            .filter(project_member::Column::ProjectId.eq(id.get()))
            .into_model::<WithRole>()
            .one(self.db.reader())
            .await
            .map_err(database)?;
        row.map(JoinedProject::try_from).transpose()
    }

    async fn insert(
        &self,
        owner: UserId,
        purpose: Purpose,
        most: u32,
        now: DateTime<Utc>,
        key: Option<NewKey>,
    ) -> Result<Option<Made<Project>>, PortError> {
        insert::insert(&self.db, owner, purpose, most, now, key).await
    }

    async fn save(&self, project: Project) -> Result<Project, PortError> {
        let purpose = project.purpose.clone();
        let update = Entity::update_many()
            .col_expr(Column::Name, Expr::value(purpose.name))
            .col_expr(Column::Description, Expr::value(purpose.description))
            .col_expr(Column::UpdatedAt, Expr::value(project.updated_at))
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .filter(Column::Id.eq(project.id.get()))
            .filter(Column::Version.eq(i64::from(project.version.get())));
        let updated = self
            .db
            .write(move |tx| Box::pin(async move { update.exec(tx).await.map_err(database) }))
            .await?;
        match updated.rows_affected {
            0 => Err(PortError::Stale),
            _ => Ok(Project { version: project.version.next(), ..project }),
        }
    }

    async fn delete(&self, id: ProjectId) -> Result<bool, PortError> {
        let delete = Entity::delete_by_id(id.get());
        let deleted = self
            .db
            .write(move |tx| Box::pin(async move { delete.exec(tx).await.map_err(database) }))
            .await?;
        Ok(deleted.rows_affected == 1)
    }

    async fn members(
        &self,
        id: ProjectId,
        page: PageRequest<UserId>,
    ) -> Result<Page<ProjectMember, UserId>, PortError> {
        members::list(&self.db, id, page).await
    }

    async fn put_member(
        &self,
        id: ProjectId,
        user: UserId,
        role: ProjectRole,
        most: u32,
        now: DateTime<Utc>,
        entry: AuditEntry,
    ) -> Result<Option<ProjectMember>, PortError> {
        members::put(&self.db, members::NewMember { project: id, user, role, now }, most, entry)
            .await
    }

    async fn remove_member(
        &self,
        id: ProjectId,
        user: UserId,
        entry: AuditEntry,
    ) -> Result<bool, PortError> {
        members::remove(&self.db, id, user, entry).await
    }
}

/// Every read of a project starts here, so no query can forget who its members are.
fn joined_by(user: UserId) -> Select<Entity> {
    Entity::find()
        .column_as(project_member::Column::Role, "role")
        .join(JoinType::InnerJoin, Relation::Member.def())
        .filter(project_member::Column::UserId.eq(user.as_uuid()))
}

#[derive(FromQueryResult)]
struct WithRole {
    #[sea_orm(nested)]
    project: Model,
    role: String,
}

impl TryFrom<WithRole> for JoinedProject {
    type Error = PortError;

    fn try_from(row: WithRole) -> Result<Self, PortError> {
        Ok(Self { project: row.project.try_into()?, role: parsed(&row.role)? })
    }
}

impl TryFrom<Model> for Project {
    type Error = PortError;

    fn try_from(row: Model) -> Result<Self, PortError> {
        Ok(Self {
            id: ProjectId::new(row.id),
            owner: UserId::from_uuid(row.owner_id),
            purpose: Purpose { name: row.name, description: row.description },
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: version(row.version)?,
        })
    }
}
