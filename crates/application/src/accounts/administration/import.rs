//! Taking over the users of another system.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};
use repartee_domain::{
    accounts::{ProfileChanges, Role, User, Username},
    audit::{Action, AuditActor, AuditEntry},
};
use thiserror::Error;

use crate::{
    AppError,
    accounts::AccountService,
    ports::{PasswordHash, UserDirectory},
};

/// A user as another system knew them.
#[derive(Debug, Clone)]
pub struct ImportedUser {
    /// Where in the file they are, for errors.
    pub line: u64,
    pub email: String,
    pub profile: ProfileChanges,
    pub role: Role,
    pub is_active: bool,
    pub is_email_verified: bool,
    pub password: PasswordHash,
}

/// Why a line cannot be imported.
#[derive(Debug, Error)]
pub enum ImportError {
    #[error("line {line}: {field} {detail}")]
    Field { line: u64, field: &'static str, detail: String },
    #[error(transparent)]
    App(#[from] AppError),
}

/// The names of those who stand before in a file.
#[derive(Debug, Default)]
pub struct Claimed {
    emails: HashSet<String>,
    usernames: HashSet<String>,
}

/// For who runs the server alone. A file is checked before any of it is stored, in the same
/// batches, so that one that has a mistake changes nothing.
pub struct UserImport {
    accounts: Arc<AccountService>,
    directory: Arc<dyn UserDirectory>,
}

impl UserImport {
    pub fn new(accounts: Arc<AccountService>, directory: Arc<dyn UserDirectory>) -> Self {
        Self { accounts, directory }
    }

    /// Whether these could be stored after those that `claimed` tells of; nothing is.
    pub async fn check(
        &self,
        batch: Vec<ImportedUser>,
        claimed: &mut Claimed,
    ) -> Result<(), ImportError> {
        self.newcomers(batch, claimed).await.map(drop)
    }

    /// Stores those whose address nobody has, all or none; gives how many they were.
    pub async fn import(&self, batch: Vec<ImportedUser>) -> Result<u64, ImportError> {
        let users = self.newcomers(batch, &mut Claimed::default()).await?;
        let now = self.accounts.ports.clock.now();
        let entries = users.iter().map(|(user, _)| entry(user, now)).collect();
        let count = users.len() as u64;
        if count > 0 {
            self.directory.import(users, entries).await.map_err(AppError::from)?;
        }
        Ok(count)
    }

    /// Those whose address nobody has, neither here nor among those before them.
    async fn newcomers(
        &self,
        batch: Vec<ImportedUser>,
        claimed: &mut Claimed,
    ) -> Result<Vec<(User, PasswordHash)>, ImportError> {
        let mut drafts = Vec::with_capacity(batch.len());
        for imported in batch {
            let line = imported.line;
            let (user, password) = self.draft(imported).await?;
            drafts.push((line, user, password));
        }
        let emails = drafts.iter().map(|(_, user, _)| user.email.as_str().to_owned());
        let usernames = drafts.iter().filter_map(|(_, user, _)| username(user));
        let in_use = self.directory.in_use(emails.collect(), usernames.collect()).await;
        let in_use = in_use.map_err(AppError::from)?;
        let mut users = Vec::with_capacity(drafts.len());
        for (line, user, password) in drafts {
            let email = user.email.as_str();
            if in_use.emails.contains(email) || !claimed.emails.insert(email.to_owned()) {
                continue;
            }
            // That somebody with another address has it is a mistake, which nobody should guess at.
            if let Some(key) = username(&user)
                && (in_use.usernames.contains(&key) || !claimed.usernames.insert(key))
            {
                let detail = "is in use by somebody else".to_owned();
                return Err(ImportError::Field { line, field: "username", detail });
            }
            users.push((user, password));
        }
        Ok(users)
    }

    async fn draft(&self, imported: ImportedUser) -> Result<(User, PasswordHash), ImportError> {
        let ImportedUser { line, email, profile, role, password, .. } = imported;
        let field = |field, detail: &str| ImportError::Field { line, field, detail: detail.into() };
        if !self.accounts.ports.hasher.can_verify(&password) {
            return Err(field(
                "password_hash",
                "must be argon2 or PBKDF2-SHA256, as passlib writes them",
            ));
        }
        let drafted = self.accounts.new_user(&email, None, profile, role).await;
        let (user, _) = drafted.map_err(|error| match error {
            AppError::Invalid(mut errors) if !errors.is_empty() => {
                let first = errors.swap_remove(0);
                ImportError::Field { line, field: first.field, detail: first.detail }
            }
            error => error.into(),
        })?;
        let email_verified_at = imported.is_email_verified.then_some(user.created_at);
        Ok((User { is_active: imported.is_active, email_verified_at, ..user }, password))
    }
}

fn username(user: &User) -> Option<String> {
    user.profile.username.as_ref().map(Username::key)
}

fn entry(user: &User, now: DateTime<Utc>) -> AuditEntry {
    AuditEntry::new(AuditActor::System, Action::AccountMade, now)
        .on("user", user.id)
        .with("role", user.role.as_str())
        .with("by", "import")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        accounts::fixture::Fixture,
        ports::{MockUserDirectory, NamesInUse},
    };

    fn imported(line: u64, email: &str, username: Option<&str>) -> ImportedUser {
        let username = username.map(|name| Some(name.into()));
        ImportedUser {
            line,
            email: email.into(),
            profile: ProfileChanges { username, ..ProfileChanges::default() },
            role: Role::User,
            is_active: true,
            is_email_verified: line == 1,
            password: PasswordHash("a hash".into()),
        }
    }

    fn importing(directory: MockUserDirectory) -> UserImport {
        let mut fixture = Fixture::new();
        fixture.hasher.expect_can_verify().returning(|hash| !hash.is_none());
        UserImport::new(Arc::new(fixture.service()), Arc::new(directory))
    }

    fn knowing(email: &str, username: &str) -> MockUserDirectory {
        let in_use = NamesInUse {
            emails: [email.to_owned()].into(),
            usernames: [username.to_owned()].into(),
        };
        let mut directory = MockUserDirectory::new();
        directory.expect_in_use().returning(move |_, _| Ok(in_use.clone()));
        directory
    }

    #[tokio::test]
    async fn those_who_are_there_already_are_left_as_they_are() {
        let mut directory = knowing("ada@example.com", "ada");
        directory
            .expect_import()
            .withf(|users, entries| {
                let emails: Vec<_> = users.iter().map(|(user, _)| user.email.as_str()).collect();
                emails == ["grace@example.com"]
                    && users[0].0.email_verified_at.is_some()
                    && entries.len() == 1
            })
            .once()
            .returning(|_, _| Ok(()));
        let batch = vec![
            imported(1, "Grace@example.com", Some("grace")),
            imported(2, "ADA@example.com", Some("ada")),
            imported(3, "grace@example.com", None),
        ];

        assert_eq!(importing(directory).import(batch).await.unwrap(), 1);
    }

    // Nothing is stored in these.

    #[tokio::test]
    async fn a_username_that_somebody_else_has_is_told_with_its_line() {
        for second in ["Ada", "GRACE"] {
            let batch = vec![
                imported(1, "grace@example.com", Some("grace")),
                imported(7, "new@example.com", Some(second)),
            ];
            let directory = knowing("ada@example.com", "ada");
            let users = importing(directory);
            let error = users.check(batch.clone(), &mut Claimed::default()).await.unwrap_err();
            assert_eq!(error.to_string(), "line 7: username is in use by somebody else");
            let error = users.import(batch).await.unwrap_err();
            assert_eq!(error.to_string(), "line 7: username is in use by somebody else");
        }
    }

    #[tokio::test]
    async fn a_username_that_somebody_in_an_earlier_batch_has_is_told_before_anything_is_stored() {
        let users = importing(knowing("ada@example.com", "ada"));
        let mut claimed = Claimed::default();
        let mut check = async |line, email, username| {
            users.check(vec![imported(line, email, Some(username))], &mut claimed).await
        };
        check(1, "grace@example.com", "grace").await.unwrap();
        // The same person again, and one who is there already: both would be skipped.
        check(2, "Grace@example.com", "grace").await.unwrap();
        check(3, "ada@example.com", "grace").await.unwrap();

        let error = check(4, "hedy@example.com", "GRACE").await.unwrap_err();

        assert_eq!(error.to_string(), "line 4: username is in use by somebody else");
    }

    #[tokio::test]
    async fn what_cannot_be_is_told_with_its_line() {
        let service = importing(MockUserDirectory::new());
        let hashless =
            ImportedUser { password: PasswordHash::none(), ..imported(9, "a@example.com", None) };
        for (user, start) in [
            (imported(3, "nowhere", None), "line 3: email must be an e-mail address"),
            (imported(4, "a@example.com", Some("a@b")), "line 4: username must not contain @"),
            (hashless, "line 9: password_hash must be argon2"),
        ] {
            let error = service.check(vec![user], &mut Claimed::default()).await.unwrap_err();
            let error = error.to_string();
            assert!(error.starts_with(start), "{error}");
        }
    }
}
