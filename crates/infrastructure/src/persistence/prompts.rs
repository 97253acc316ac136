//! The prompts of projects in the database.

mod write;

use async_trait::async_trait;
use repartee_application::{
    Page, PageRequest,
    ports::{Made, NewKey, NewPrompt, PortError, PromptKey, PromptRepository},
};
use repartee_domain::{
    ProjectId, PromptId, UserId, Version,
    projects::{Prompt, PromptText, PromptVersion},
};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};

use super::{
    Database,
    entity::{
        prompt::{Column, Entity, Model},
        prompt_version,
    },
    error::database,
    stored::{number, version},
};

pub struct SeaPromptRepository {
    db: Database,
}

impl SeaPromptRepository {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl PromptRepository for SeaPromptRepository {
    async fn list(
        &self,
        project: ProjectId,
        page: PageRequest<PromptKey>,
    ) -> Result<Page<Prompt, PromptKey>, PortError> {
        let mut rows = Entity::find()
            .filter(Column::ProjectId.eq(project.get()))
            .order_by_asc(Column::Position)
            .order_by_asc(Column::Id)
            .limit(u64::from(page.limit) + 1);
        if let Some(PromptKey { position, id }) = page.after {
            let place = Expr::tuple([Expr::col(Column::Position), Expr::col(Column::Id)]);
            let after = Expr::tuple([Expr::value(i64::from(position)), Expr::value(id.get())]);
            rows = rows.filter(place.gt(after));
        }
        let rows = rows.all(self.db.reader()).await.map_err(database)?;
        let prompts = rows.into_iter().map(Prompt::try_from).collect::<Result<_, _>>()?;
        let key = |prompt: &Prompt| PromptKey { position: prompt.position, id: prompt.id };
        Ok(Page::of(prompts, page.limit, key))
    }

    async fn find(&self, id: PromptId) -> Result<Option<Prompt>, PortError> {
        let row = Entity::find_by_id(id.get()).one(self.db.reader()).await.map_err(database)?;
        row.map(Prompt::try_from).transpose()
    }

    async fn insert(
        &self,
        prompt: NewPrompt,
        most: u32,
        key: Option<NewKey>,
    ) -> Result<Option<Made<Prompt>>, PortError> {
        write::insert(&self.db, prompt, most, key).await
    }

    async fn save(&self, prompt: Prompt, by: UserId) -> Result<Prompt, PortError> {
        write::save(&self.db, prompt, by).await
    }

    async fn delete(&self, id: PromptId) -> Result<bool, PortError> {
        let delete = Entity::delete_by_id(id.get());
        let deleted = self
            .db
            .write(move |tx| Box::pin(async move { delete.exec(tx).await.map_err(database) }))
            .await?;
        Ok(deleted.rows_affected == 1)
    }

    async fn versions(
        &self,
        id: PromptId,
        page: PageRequest<Version>,
    ) -> Result<Page<PromptVersion, Version>, PortError> {
        let mut rows = prompt_version::Entity::find()
            .filter(prompt_version::Column::PromptId.eq(id.get()))
            .order_by_desc(prompt_version::Column::Version)
            .limit(u64::from(page.limit) + 1);
        if let Some(after) = page.after {
            rows = rows.filter(prompt_version::Column::Version.lt(i64::from(after.get())));
        }
        let rows = rows.all(self.db.reader()).await.map_err(database)?;
        let versions = rows.into_iter().map(PromptVersion::try_from).collect::<Result<_, _>>()?;
        Ok(Page::of(versions, page.limit, |version: &PromptVersion| version.version))
    }
}

impl TryFrom<Model> for Prompt {
    type Error = PortError;

    fn try_from(row: Model) -> Result<Self, PortError> {
        Ok(Self {
            id: PromptId::new(row.id),
            project: ProjectId::new(row.project_id),
            text: PromptText { name: row.name, content: row.content },
            position: number(row.position)?,
            is_active: row.is_active,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: version(row.version)?,
        })
    }
}

impl TryFrom<prompt_version::Model> for PromptVersion {
    type Error = PortError;

    fn try_from(row: prompt_version::Model) -> Result<Self, PortError> {
        Ok(Self {
            version: version(row.version)?,
            text: PromptText { name: row.name, content: row.content },
            changed_by: row.changed_by.map(UserId::from_uuid),
            at: row.at,
        })
    }
}
