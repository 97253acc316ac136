//! The files of projects, put together, and the store that their bytes are in.

use std::sync::Arc;

use chrono::TimeDelta;
use futures::{StreamExt, TryStreamExt, stream};
use repartee_application::{
    files::{FilePorts, FileService, ObjectSweeper},
    ports::{ObjectLedger, ObjectStore, PortError},
};
use repartee_domain::ObjectKey;
use repartee_infrastructure::{
    objects::{LocalObjectStore, S3ObjectStore},
    persistence::{SeaFileRepository, SeaObjectLedger, SeaProjectRepository},
};

use crate::{
    StartError,
    ground::Ground,
    settings::{FileStore, Settings},
};

pub(crate) struct Filing {
    pub(crate) files: FileService,
    pub(crate) sweeper: ObjectSweeper,
}

/// A store that keeps nothing stops the start.
pub(crate) async fn filing(settings: &Settings, ground: &Ground) -> Result<Filing, StartError> {
    let Ground { database, clock, ids, .. } = ground;
    let objects: Arc<dyn ObjectStore> = match &settings.files.store {
        FileStore::Local(folder) => Arc::new(LocalObjectStore::new(folder.clone())),
        FileStore::S3(s3) => Arc::new(S3ObjectStore::new(s3.clone())?),
    };
    let ledger = Arc::new(SeaObjectLedger::new(database.clone()));
    let key = ObjectKey::from_uuid(ids.id());
    // What a start that is cut off leaves is swept.
    ledger.reserve(key, clock.now() + TimeDelta::hours(1)).await?;
    try_out(&*objects, key).await.map_err(StartError::Files)?;
    ledger.forget(vec![key]).await?;
    let files = FilePorts {
        projects: Arc::new(SeaProjectRepository::new(database.clone())),
        files: Arc::new(SeaFileRepository::new(database.clone())),
        objects: objects.clone(),
        ledger: ledger.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    Ok(Filing { files: FileService::new(files), sweeper: ObjectSweeper { objects, ledger } })
}

/// Does what will be done with every file.
async fn try_out(objects: &dyn ObjectStore, key: ObjectKey) -> Result<(), PortError> {
    const BYTES: &[u8] = b"whether files can be kept";

    objects.put(key, stream::iter([Ok(BYTES.into())]).boxed()).await?;
    let read =
        objects.get(key).await?.ok_or_else(|| PortError::Unavailable("it is gone".into()))?;
    let read: Vec<_> = read.try_collect().await.map_err(PortError::Unavailable)?;
    objects.delete(key).await?;
    if read.concat() == BYTES { Ok(()) } else { Err(PortError::Unavailable("it changed".into())) }
}
