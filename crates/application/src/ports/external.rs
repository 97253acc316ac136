//! Tokens of another issuer, and whom they stand for here.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_domain::{
    UserId,
    accounts::{Role, User},
    audit::AuditEntry,
};

use super::{PasswordHash, PortError, Principal};

/// Somebody as another issuer knows them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExternalIdentity {
    /// `iss`.
    pub issuer: String,
    /// `sub`: 1 to 255 characters, none of them a control character.
    pub subject: String,
}

/// What a token of another issuer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalClaims {
    pub identity: ExternalIdentity,
    /// An address that the issuer has verified.
    pub verified_email: Option<String>,
    pub expires_at: DateTime<Utc>,
}

/// A user who is somebody elsewhere too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MappedUser {
    pub user: UserId,
    pub role: Role,
    pub is_active: bool,
}

/// Checks the tokens of the one other issuer that is configured.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait ExternalTokens: Send + Sync {
    /// `None` unless the signature, `iss` and `aud` are right, the claims are there and `now` lies
    /// between `nbf` and `exp`, with 30 s of leeway. Which key and which algorithm count is settled
    /// by the configuration, never by the token.
    ///
    /// # Errors
    /// [`PortError::Unavailable`] when the issuer's keys were never read, and cannot be.
    async fn verify(
        &self,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<ExternalClaims>, PortError>;
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait ExternalIdentityRepository: Send + Sync {
    /// May lag what other processes did by up to a second; never what this one did.
    async fn find(&self, identity: &ExternalIdentity) -> Result<Option<MappedUser>, PortError>;

    /// Stores a user, and that they are this somebody, in one commit.
    ///
    /// # Errors
    /// [`PortError::Taken`] with `identity` when that is mapped already: of any number of
    /// concurrent calls one succeeds. With `email` when another user has the address.
    async fn map(
        &self,
        identity: ExternalIdentity,
        user: User,
        password: PasswordHash,
        entry: AuditEntry,
    ) -> Result<(), PortError>;

    /// An active user, who may have come with a token of another issuer. Lags as `find` does.
    async fn principal(&self, user: UserId) -> Result<Option<Principal>, PortError>;
}
