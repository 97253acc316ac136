//! One process at a time uses an embedded database.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

use crate::persistence::DatabaseError;

/// Held for as long as the database is open; the operating system lets go of it when the process
/// dies, however it dies.
///
/// It is on a file beside the database: opening and closing the database's own file a second time
/// would drop the locks that SQLite holds on it (<https://sqlite.org/howtocorrupt.html>, 2.2).
#[derive(Debug)]
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    pub(super) fn beside(database: &Path) -> Result<Self, DatabaseError> {
        // Through a symbolic link it is the same database.
        let database = database.canonicalize().unwrap_or_else(|_| database.to_owned());
        let mut name = database.clone().into_os_string();
        name.push(".lock");
        let path = PathBuf::from(name);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| DatabaseError::File { path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(DatabaseError::InUse { path: database }),
            Err(TryLockError::Error(source)) => Err(DatabaseError::File { path, source }),
        }
    }
}
