//! Commands that make users: who may run them runs the server.

mod file;

use std::{
    io::{self, IsTerminal, Read},
    path::Path,
    sync::Arc,
};

use repartee_application::{
    AppError,
    accounts::{AccountService, Claimed, ImportError, ImportedUser, UserImport},
};
use repartee_infrastructure::persistence::{Database, SeaLoginSessionRepository, SeaUserDirectory};
use secrecy::SecretString;

use self::file::UserFile;
use super::print;
use crate::{StartError, accounts, ground::Ground, settings::Settings, signing};

/// Users that are stored with one commit.
const BATCH: usize = 200;
/// Bytes of a password on stdin: more than any may have.
const MOST_STDIN: u64 = 4096;

/// Where the password of a new administrator comes from. An argument would be seen by everybody on
/// the machine.
pub(super) struct PasswordSource {
    pub(super) is_on_stdin: bool,
    pub(super) from_environment: Option<SecretString>,
}

pub(super) async fn create_admin(
    settings: &Settings,
    email: &str,
    source: PasswordSource,
) -> Result<(), StartError> {
    let password = source.read()?;
    let made = with_accounts(settings, async |accounts, _| {
        accounts.make_admin(email, password).await.map_err(|error| match error {
            AppError::Invalid(errors) => {
                let wrong = errors.iter().map(|wrong| format!("{} {}", wrong.field, wrong.detail));
                StartError::Settings(wrong.collect::<Vec<_>>().join("; "))
            }
            AppError::Port(error) => error.into(),
            error => StartError::Command(error.to_string()),
        })
    });
    let user = made.await?;
    print(&format!("{} is an administrator now", user.email.as_str()))
}

/// Nothing is stored unless everything in the file could be. Those whose address somebody has are
/// left as they are, so that the same file may be imported again, also where it was cut off.
pub(super) async fn import(settings: &Settings, path: &Path) -> Result<(), StartError> {
    let imported = with_accounts(settings, async |accounts, database| {
        let directory = Arc::new(SeaUserDirectory::new(database.clone()));
        let users = UserImport::new(accounts, directory);
        let mut claimed = Claimed::default();
        in_batches(path, async |batch| users.check(batch, &mut claimed).await).await?;
        let (mut seen, mut stored) = (0, 0);
        in_batches(path, async |batch| {
            seen += batch.len() as u64;
            stored += users.import(batch).await?;
            Ok(())
        })
        .await?;
        Ok((stored, seen - stored))
    });
    let (stored, skipped) = imported.await?;
    print(&format!("{stored} imported, {skipped} skipped: their addresses are known"))
}

async fn in_batches(
    path: &Path,
    mut work: impl AsyncFnMut(Vec<ImportedUser>) -> Result<(), ImportError>,
) -> Result<(), StartError> {
    let mut file = UserFile::open(path)?;
    loop {
        let batch = file.by_ref().take(BATCH).collect::<Result<Vec<_>, _>>()?;
        if batch.is_empty() {
            return Ok(());
        }
        let done = work(batch).await;
        done.map_err(|error| StartError::Command(format!("{}: {error}", path.display())))?;
    }
}

impl PasswordSource {
    fn read(self) -> Result<SecretString, StartError> {
        if self.is_on_stdin {
            let mut text = String::new();
            io::stdin().take(MOST_STDIN).read_to_string(&mut text).map_err(StartError::Io)?;
            return Ok(text.trim_end_matches(['\r', '\n']).into());
        }
        if let Some(password) = self.from_environment {
            return Ok(password);
        }
        if !io::stdin().is_terminal() {
            let how = "give the password with --password-stdin or REPARTEE_ADMIN_PASSWORD";
            return Err(StartError::Settings(how.to_owned()));
        }
        let ask = |prompt| rpassword::prompt_password(prompt).map_err(StartError::Io);
        let (password, again) = (ask("Password: ")?, ask("Once more: ")?);
        if password != again {
            return Err(StartError::Settings("these are two passwords".to_owned()));
        }
        Ok(password.into())
    }
}

/// Does something with the accounts in the database, whose schema is brought up first.
async fn with_accounts<T, F>(
    settings: &Settings,
    work: impl FnOnce(Arc<AccountService>, Database) -> F,
) -> Result<T, StartError>
where
    F: Future<Output = Result<T, StartError>>,
{
    let ground = Ground::lay(settings).await?;
    let adapters = accounts::Adapters {
        sessions: Arc::new(SeaLoginSessionRepository::new(ground.database.clone())),
        hasher: Arc::new(accounts::hasher(settings)),
        signer: Arc::new(signing::signer(settings)?),
    };
    let accounts = accounts::accounts(settings, &ground, adapters)?.accounts;
    let database = ground.database;
    let done = work(accounts, database.clone()).await;
    database.close().await?;
    done
}
