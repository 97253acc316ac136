//! The secret that a server without one makes for itself, so that tokens outlive a restart.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use secrecy::SecretString;

use super::auth::SECRET_BYTES;

const FILE: &str = "auth.secret";

/// Reads the secret in the directory, or makes it: for its owner only, whole or not at all, and
/// the same one however many processes make it at once.
pub(super) fn development_secret(data_dir: &Path) -> io::Result<SecretString> {
    let path = data_dir.join(FILE);
    match read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        known => return known,
    }
    fs::create_dir_all(data_dir)?;
    let draft = data_dir.join(format!("{FILE}.{}", hex(&random::<8>()?)));
    let made = write(&draft, &hex(&random::<SECRET_BYTES>()?))
        // Unlike renaming, linking never replaces the secret that another process just made.
        .and_then(|()| fs::hard_link(&draft, &path));
    fs::remove_file(&draft)?;
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => read(&path),
    }
}

fn read(path: &Path) -> io::Result<SecretString> {
    let text = fs::read_to_string(path)?;
    let secret = text.trim();
    if secret.len() < SECRET_BYTES {
        let reason = format!("{} must have at least {SECRET_BYTES} bytes", path.display());
        return Err(io::Error::new(ErrorKind::InvalidData, reason));
    }
    Ok(secret.into())
}

fn write(path: &Path, secret: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")?;
    file.sync_all()
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn it_is_made_once_and_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("data");
        let made = development_secret(&data_dir).unwrap();
        assert_eq!(made.expose_secret().len(), 64);
        let again = development_secret(&data_dir).unwrap();
        assert_eq!(made.expose_secret(), again.expose_secret());
        let permissions = fs::metadata(data_dir.join(FILE)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1);
    }

    #[test]
    fn many_at_once_agree_on_one() {
        let directory = tempfile::tempdir().unwrap();
        let secrets: Vec<String> = std::thread::scope(|scope| {
            let make = || development_secret(directory.path()).unwrap().expose_secret().to_owned();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    }

    #[test]
    fn one_that_was_cut_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "short").unwrap();
        let error = development_secret(directory.path()).unwrap_err();
        assert!(error.to_string().ends_with("auth.secret must have at least 32 bytes"), "{error}");
    }
}
