//! The files of projects in the database.

mod insert;

use async_trait::async_trait;
use repartee_application::{
    Page, PageRequest,
    ports::{FileRepository, Made, NewFile, NewKey, PortError},
};
use repartee_domain::{
    FileId, ObjectKey, ProjectId, UserId,
    files::{Content, File, FileName},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{
    Database,
    entity::file::{Column, Entity, Model},
    error::database,
    stored::{corrupt, number},
};

pub struct SeaFileRepository {
    db: Database,
}

impl SeaFileRepository {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl FileRepository for SeaFileRepository {
    async fn list(
        &self,
        project: ProjectId,
        page: PageRequest<FileId>,
    ) -> Result<Page<File, FileId>, PortError> {
        let mut rows = Entity::find()
            .filter(Column::ProjectId.eq(project.get()))
            .order_by_desc(Column::Id)
            .limit(u64::from(page.limit) + 1);
        if let Some(after) = page.after {
            rows = rows.filter(Column::Id.lt(after.get()));
        }
        let rows = rows.all(self.db.reader()).await.map_err(database)?;
        let files = rows.into_iter().map(File::try_from).collect::<Result<_, _>>()?;
        Ok(Page::of(files, page.limit, |file: &File| file.id))
    }

    async fn find(&self, id: FileId) -> Result<Option<File>, PortError> {
        let row = Entity::find_by_id(id.get()).one(self.db.reader()).await.map_err(database)?;
        row.map(File::try_from).transpose()
    }

    async fn insert(
        &self,
        file: NewFile,
        most: u32,
        key: Option<NewKey>,
    ) -> Result<Option<Made<File>>, PortError> {
        insert::insert(&self.db, file, most, key).await
    }

    async fn delete(&self, id: FileId) -> Result<bool, PortError> {
        let delete = Entity::delete_by_id(id.get());
        let deleted = self
            .db
            .write(move |tx| Box::pin(async move { delete.exec(tx).await.map_err(database) }))
            .await?;
        Ok(deleted.rows_affected == 1)
    }
}

impl TryFrom<Model> for File {
    type Error = PortError;

    fn try_from(row: Model) -> Result<Self, PortError> {
        let content = Content {
            name: FileName::shown(&row.name),
            media_type: row.content_type,
            bytes: number(row.bytes)?,
            sha256: row.sha256.try_into().map_err(|_| corrupt("not a SHA-256"))?,
            object: ObjectKey::from_uuid(row.storage_key),
        };
        Ok(Self {
            id: FileId::new(row.id),
            project: ProjectId::new(row.project_id),
            owner: UserId::from_uuid(row.owner_id),
            content,
            created_at: row.created_at,
        })
    }
}
