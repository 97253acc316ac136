//! Files of projects: a viewer reads them, an editor uploads and deletes them.

mod sweep;
mod upload;

use std::sync::Arc;

use repartee_domain::{FileId, ProjectId, files::File, projects::ProjectDeed};

pub use self::sweep::ObjectSweeper;
use crate::{
    Actor, AppError, Page, PageRequest, Permission,
    ports::{
        ByteStream, Clock, FileRepository, IdGenerator, ObjectLedger, ObjectStore, PortError,
        ProjectRepository,
    },
    projects::member,
};

/// Files of a project.
const MOST: u32 = 1_000;

pub struct FileService {
    ports: FilePorts,
}

pub struct FilePorts {
    pub projects: Arc<dyn ProjectRepository>,
    pub files: Arc<dyn FileRepository>,
    pub objects: Arc<dyn ObjectStore>,
    pub ledger: Arc<dyn ObjectLedger>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
}

/// What names a file: its id, and the project that it has to be of, where a path says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileAddress {
    pub project: Option<ProjectId>,
    pub id: FileId,
}

impl FileService {
    pub fn new(ports: FilePorts) -> Self {
        Self { ports }
    }

    /// Newest first.
    pub async fn list(
        &self,
        actor: &Actor,
        project: ProjectId,
        page: PageRequest<FileId>,
    ) -> Result<Page<File, FileId>, AppError> {
        actor.may(Permission::ReadFiles)?;
        member(&*self.ports.projects, actor, project, ProjectDeed::Read).await?;
        Ok(self.ports.files.list(project, page).await?)
    }

    /// All of a project's, newest first.
    pub async fn all(&self, actor: &Actor, project: ProjectId) -> Result<Vec<File>, AppError> {
        Ok(self.list(actor, project, PageRequest { limit: MOST, after: None }).await?.items)
    }

    pub async fn find(&self, actor: &Actor, address: FileAddress) -> Result<File, AppError> {
        actor.may(Permission::ReadFiles)?;
        self.found(actor, address, ProjectDeed::Read).await
    }

    /// A file with its bytes.
    pub async fn open(
        &self,
        actor: &Actor,
        address: FileAddress,
    ) -> Result<(File, ByteStream<'static>), AppError> {
        let file = self.find(actor, address).await?;
        match self.ports.objects.get(file.content.object).await? {
            Some(bytes) => Ok((file, bytes)),
            None => Err(PortError::Corrupt("a file without its object".into()).into()),
        }
    }

    /// Deletes a file, for good. Its bytes go soon after.
    pub async fn delete(&self, actor: &Actor, address: FileAddress) -> Result<(), AppError> {
        actor.may(Permission::EditFiles)?;
        self.found(actor, address, ProjectDeed::Edit).await?;
        let is_deleted = self.ports.files.delete(address.id).await?;
        if is_deleted { Ok(()) } else { Err(AppError::FILE_NOT_FOUND) }
    }

    async fn found(
        &self,
        actor: &Actor,
        address: FileAddress,
        deed: ProjectDeed,
    ) -> Result<File, AppError> {
        let projects = &*self.ports.projects;
        if let Some(project) = address.project {
            member(projects, actor, project, deed).await?;
        }
        let found = self.ports.files.find(address.id).await?.ok_or(AppError::FILE_NOT_FOUND)?;
        match address.project {
            Some(project) if project == found.project => Ok(found),
            Some(_) => Err(AppError::FILE_NOT_FOUND),
            None => match member(projects, actor, found.project, deed).await {
                Ok(_) => Ok(found),
                // Whoever is no member doesn't learn that there is such a file.
                Err(AppError::NotFound { .. }) => Err(AppError::FILE_NOT_FOUND),
                Err(error) => Err(error),
            },
        }
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
