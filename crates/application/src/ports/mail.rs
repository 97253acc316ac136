//! Mails, and the links in them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_domain::{UserId, accounts::Email, audit::AuditEntry};
use secrecy::SecretString;

use super::{NameHash, PasswordHash, PortError, SecretHash};

/// A mail of plain text.
#[derive(Debug, Clone)]
pub struct Mail {
    pub to: Email,
    pub subject: &'static str,
    /// It may hold a link that opens an account.
    pub text: SecretString,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands a mail on, within half a minute. Whether it arrives nobody knows.
    ///
    /// # Errors
    /// [`PortError::Unavailable`], whose text never holds the address.
    async fn send(&self, mail: &Mail) -> Result<(), PortError>;
}

/// What a link in a mail is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkPurpose {
    ResetPassword,
    VerifyEmail,
}

/// A link in a mail, good once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailedLink {
    pub hash: SecretHash,
    pub purpose: LinkPurpose,
    pub user: UserId,
    pub expires_at: DateTime<Utc>,
}

/// What a link that resets a password is spent for.
#[derive(Debug)]
pub struct PasswordReset {
    pub link: SecretHash,
    pub user: UserId,
    pub password: PasswordHash,
    /// The names that the user logs in with: their failures are forgotten.
    pub names: Vec<NameHash>,
    pub at: DateTime<Utc>,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait LinkRepository: Send + Sync {
    /// Stores a link, and drops those of the same user and purpose.
    ///
    /// # Errors
    /// [`PortError::Stale`] when the user is gone.
    async fn store(&self, link: MailedLink, entry: Option<AuditEntry>) -> Result<(), PortError>;

    /// Whose link this is, as long as it is good.
    async fn owner(
        &self,
        hash: SecretHash,
        purpose: LinkPurpose,
        now: DateTime<Utc>,
    ) -> Result<Option<UserId>, PortError>;

    /// Spends a link for a new password, in one commit with what follows from it: every login
    /// session of the user ends, their feed is told, failed log-ins are forgotten, and the address
    /// counts as verified, for a mail arrived there.
    ///
    /// # Errors
    /// [`PortError::Stale`] unless the link is good: of any number of concurrent calls exactly one
    /// succeeds.
    async fn reset_password(
        &self,
        reset: PasswordReset,
        entry: AuditEntry,
    ) -> Result<(), PortError>;

    /// Spends a link that verifies its owner's address.
    ///
    /// # Errors
    /// As [`LinkRepository::reset_password`].
    async fn verify_email(
        &self,
        link: SecretHash,
        user: UserId,
        now: DateTime<Utc>,
        entry: AuditEntry,
    ) -> Result<(), PortError>;
}
