//! What the tests of files share.

use std::sync::Arc;

use bytes::Bytes;
use chrono::DateTime;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use repartee_domain::{
    FileId, ObjectKey,
    files::{Content, File, FileName},
    projects::ProjectRole,
};
use uuid::Uuid;

use super::{FileAddress, FilePorts, FileService};
use crate::{
    ports::{
        ByteStream, MockFileRepository, MockIdGenerator, MockObjectLedger, MockObjectStore,
        NewFile, PortError, Source,
    },
    projects::fixture::*,
};

pub(super) const ID: FileId = FileId::new(8);
pub(super) const ADDRESS: FileAddress = FileAddress { project: None, id: ID };
/// Of the file that is there.
const STORED: ObjectKey = ObjectKey::from_uuid(Uuid::from_u128(60));
/// Of the one that is uploaded.
pub(super) const OBJECT: ObjectKey = ObjectKey::from_uuid(Uuid::from_u128(70));

pub(super) fn file() -> File {
    let content = Content {
        name: FileName::shown("tea.txt"),
        media_type: "text/plain".into(),
        bytes: 3,
        sha256: [7; 32],
        object: STORED,
    };
    let (id, project, owner) = (ID, PROJECT, actor().user);
    File { id, project, owner, content, created_at: DateTime::UNIX_EPOCH }
}

pub(super) fn stored(file: NewFile) -> File {
    let NewFile { project, owner, content, now, .. } = file;
    File { id: ID, project, owner, content, created_at: now }
}

pub(super) fn holding() -> MockFileRepository {
    let mut files = MockFileRepository::new();
    files.expect_find().returning(|id| Ok((id == ID).then(file)));
    files
}

pub(super) fn pieces(pieces: Vec<Result<&'static str, &'static str>>) -> ByteStream<'static> {
    let pieces = pieces.into_iter();
    let pieces = pieces.map(|piece| piece.map(Bytes::from).map_err(Source::from));
    stream::iter(pieces).boxed()
}

/// It takes in all that comes.
pub(super) fn store() -> MockObjectStore {
    let mut objects = MockObjectStore::new();
    objects.expect_put().returning(|key, bytes| {
        assert_eq!(key, OBJECT);
        let taken = bytes.try_collect::<Vec<_>>().now_or_never().unwrap();
        taken.map(drop).map_err(PortError::Unavailable)
    });
    objects
}

/// Where the one object is reserved, and, where nothing is made of it, released.
pub(super) fn ledger(is_released: bool) -> MockObjectLedger {
    let mut ledger = MockObjectLedger::new();
    ledger.expect_reserve().once().returning(|object, until| {
        assert_eq!((object, until), (OBJECT, NOW + chrono::TimeDelta::hours(1)));
        Ok(())
    });
    ledger.expect_release().times(usize::from(is_released)).returning(|object, now| {
        assert_eq!((object, now), (OBJECT, NOW));
        Ok(())
    });
    ledger
}

pub(super) fn service(
    role: Option<ProjectRole>,
    files: MockFileRepository,
    objects: MockObjectStore,
    ledger: MockObjectLedger,
) -> FileService {
    let mut ids = MockIdGenerator::new();
    ids.expect_id().return_const(OBJECT.as_uuid());
    FileService::new(FilePorts {
        projects: Arc::new(joined(role)),
        files: Arc::new(files),
        objects: Arc::new(objects),
        ledger: Arc::new(ledger),
        clock: Arc::new(clock()),
        ids: Arc::new(ids),
    })
}
