//! Files of projects, and where their bytes are.

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use repartee_domain::{
    FileId, ObjectKey, ProjectId, UserId,
    files::{Content, File},
};

use super::{Made, NewKey, PortError, Source};
use crate::{Page, PageRequest};

/// Bytes in pieces, as they come. Nothing comes after an error.
pub type ByteStream<'a> = BoxStream<'a, Result<Bytes, Source>>;

/// Objects: bytes under a key, which never change.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// Keeps the bytes durably; holds a few pieces at a time in memory. There is the whole object or
    /// none: not where the bytes end in an error, nor where nobody waits for the answer any more.
    ///
    /// # Errors
    /// [`PortError::Unavailable`], also for an error in the bytes. There may be an object all the
    /// same.
    async fn put<'a>(&self, key: ObjectKey, bytes: ByteStream<'a>) -> Result<(), PortError>;

    /// `None` where there is no such object.
    async fn get(&self, key: ObjectKey) -> Result<Option<ByteStream<'static>>, PortError>;

    /// Removes an object, and what a process that died left of it. Where there is nothing, there is
    /// nothing to do.
    async fn delete(&self, key: ObjectKey) -> Result<(), PortError>;
}

/// A file that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    pub project: ProjectId,
    pub owner: UserId,
    pub content: Content,
    /// Until when its object was reserved.
    pub reserved_until: DateTime<Utc>,
    pub now: DateTime<Utc>,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait FileRepository: Send + Sync {
    /// Newest first.
    async fn list(
        &self,
        project: ProjectId,
        page: PageRequest<FileId>,
    ) -> Result<Page<File, FileId>, PortError>;

    async fn find(&self, id: FileId) -> Result<Option<File>, PortError>;

    /// Stores a file under the next id with the idempotency key of who uploads it, and ends the
    /// reservation of its object, in one commit. `None` where the project has `most` already.
    ///
    /// # Errors
    /// [`PortError::Stale`] where the project is gone, or the reservation is none any more.
    async fn insert(
        &self,
        file: NewFile,
        most: u32,
        key: Option<NewKey>,
    ) -> Result<Option<Made<File>>, PortError>;

    /// `false` when there was none.
    async fn delete(&self, id: FileId) -> Result<bool, PortError>;
}

/// Which objects are to be deleted, and when: those that are reserved for a file which is not stored
/// yet, and those of every file that went, however it did: by itself, with its project, or with who
/// uploaded it.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait ObjectLedger: Send + Sync {
    /// Says, before there is an object, that it is to be deleted then.
    async fn reserve(&self, object: ObjectKey, until: DateTime<Utc>) -> Result<(), PortError>;

    /// Says of an object that is reserved that it is to be deleted now.
    async fn release(&self, object: ObjectKey, now: DateTime<Utc>) -> Result<(), PortError>;

    /// At most `limit` objects whose time has come. Nobody else gets them before `again`, which is
    /// when they come back unless they are forgotten.
    async fn take(
        &self,
        now: DateTime<Utc>,
        again: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<ObjectKey>, PortError>;

    /// Of objects that are deleted.
    async fn forget(&self, objects: Vec<ObjectKey>) -> Result<(), PortError>;
}
