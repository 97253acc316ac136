//! Objects as files of a folder.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use repartee_application::ports::{ByteStream, ObjectStore, PortError};
use repartee_domain::ObjectKey;
use tokio::{
    fs::{self, File},
    io::AsyncWriteExt,
};
use tokio_util::io::ReaderStream;

const PIECE: usize = 64 * 1024;

/// Each object is a file that is named by its key. One that is being written ends in `.part`, and
/// gets its name once its bytes are on the disk.
#[derive(Debug, Clone)]
pub struct LocalObjectStore {
    folder: PathBuf,
}

impl LocalObjectStore {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn whole(&self, key: ObjectKey) -> PathBuf {
        self.folder.join(key.to_string())
    }

    fn part(&self, key: ObjectKey) -> PathBuf {
        self.folder.join(format!("{key}.part"))
    }

    async fn write(&self, key: ObjectKey, mut bytes: ByteStream<'_>) -> Result<(), PortError> {
        let part = self.part(key);
        fs::create_dir_all(&self.folder).await.map_err(unavailable)?;
        let mut file = File::create_new(&part).await.map_err(unavailable)?;
        while let Some(piece) = bytes.next().await {
            file.write_all(&piece.map_err(PortError::Unavailable)?).await.map_err(unavailable)?;
        }
        // Which tells of the last write: syncing alone does not.
        file.flush().await.map_err(unavailable)?;
        file.sync_all().await.map_err(unavailable)?;
        fs::rename(&part, self.whole(key)).await.map_err(unavailable)?;
        // So that the name is on the disk too.
        let folder = File::open(&self.folder).await.map_err(unavailable)?;
        folder.sync_all().await.map_err(unavailable)
    }
}

#[async_trait]
impl ObjectStore for LocalObjectStore {
    async fn put<'a>(&self, key: ObjectKey, bytes: ByteStream<'a>) -> Result<(), PortError> {
        let written = self.write(key, bytes).await;
        if written.is_err() {
            // Of a failure that is told already; what stays is swept.
            let _ = remove(&self.part(key)).await;
        }
        written
    }

    async fn get(&self, key: ObjectKey) -> Result<Option<ByteStream<'static>>, PortError> {
        match File::open(self.whole(key)).await {
            Ok(file) => {
                let bytes = ReaderStream::with_capacity(file, PIECE);
                Ok(Some(bytes.map_err(Into::into).boxed()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn delete(&self, key: ObjectKey) -> Result<(), PortError> {
        for path in [self.part(key), self.whole(key)] {
            remove(&path).await.map_err(unavailable)?;
        }
        Ok(())
    }
}

async fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn unavailable(error: io::Error) -> PortError {
    PortError::Unavailable(error.into())
}
