//! Users, their passwords and their login sessions.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_domain::{
    LoginSessionId, RefreshTokenId, UserId,
    accounts::{Email, LoginSession, RefreshTokenHash, Role, User, Username},
};
use secrecy::SecretString;

use super::PortError;

/// A password hash in the PHC string format.
#[derive(Debug, Clone)]
pub struct PasswordHash(pub SecretString);

/// What somebody types in to say who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginName {
    Email(Email),
    Username(Username),
}

#[derive(Debug, Clone)]
pub struct Credentials {
    pub user: User,
    pub password: PasswordHash,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait UserRepository: Send + Sync {
    /// Stores the user and, in the same commit, their first login session.
    ///
    /// # Errors
    /// [`PortError::Taken`] with `email` or `username`.
    async fn register(
        &self,
        user: &User,
        password: &PasswordHash,
        session: Option<LoginSession>,
    ) -> Result<(), PortError>;

    async fn find(&self, id: UserId) -> Result<Option<User>, PortError>;

    /// The user with that address, or whose username has the same key.
    async fn credentials(&self, name: &LoginName) -> Result<Option<Credentials>, PortError>;

    /// Stores the profile. Gives the user back with the next version.
    ///
    /// # Errors
    /// [`PortError::Stale`] unless the stored version is the one read; [`PortError::Taken`] with
    /// `username`.
    async fn save(&self, user: User) -> Result<User, PortError>;

    /// Replaces a hash that was made with weaker parameters. Does nothing when the stored hash is
    /// no longer `old`.
    async fn rehash(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<(), PortError>;

    /// Whether nobody is registered at all.
    async fn is_empty(&self) -> Result<bool, PortError>;
}

/// A refresh token as it is stored.
#[derive(Debug, Clone)]
pub struct StoredRefreshToken {
    pub session: LoginSession,
    pub is_revoked: bool,
    pub rotated_at: Option<DateTime<Utc>>,
    /// Whether the token that replaced this one was spent as well.
    pub is_successor_used: bool,
}

/// Whose login session it is, as of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    pub user: UserId,
    pub role: Role,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait LoginSessionRepository: Send + Sync {
    /// Stores the session and, in the same commit, the user's last log-in.
    ///
    /// # Errors
    /// [`PortError::Stale`] when the user is gone.
    async fn open(&self, session: LoginSession) -> Result<(), PortError>;

    async fn find_token(
        &self,
        hash: RefreshTokenHash,
    ) -> Result<Option<StoredRefreshToken>, PortError>;

    /// Spends `spent` and stores the token that follows it, in one commit.
    ///
    /// # Errors
    /// [`PortError::Stale`] when it was spent or its session was ended before: of any number of
    /// concurrent calls exactly one succeeds.
    async fn rotate(&self, spent: RefreshTokenId, next: LoginSession) -> Result<(), PortError>;

    /// Ends one session with all its tokens. Ending it twice is fine.
    async fn end(&self, id: LoginSessionId, now: DateTime<Utc>) -> Result<(), PortError>;

    /// Ends every session of a user.
    async fn end_all(&self, user: UserId, now: DateTime<Utc>) -> Result<(), PortError>;

    /// Who is signed in with this session: `None` once it was ended or ran out, or its user was
    /// deactivated. May lag what other processes did by up to a second; never what this one did.
    async fn principal(
        &self,
        id: LoginSessionId,
        now: DateTime<Utc>,
    ) -> Result<Option<Principal>, PortError>;
}

/// What comparing a password with a hash gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordCheck {
    Matches,
    /// It matches, and the hash was made with weaker parameters than are used today.
    MatchesOutdated,
    Differs,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// Hashes off the async threads, a bounded number at a time.
    async fn hash(&self, password: SecretString) -> Result<PasswordHash, PortError>;

    /// Costs the same whether there is a hash to compare with or not: exactly one hashing.
    async fn verify(
        &self,
        password: SecretString,
        hash: Option<PasswordHash>,
    ) -> Result<PasswordCheck, PortError>;
}

/// The passwords that are tried first by whoever guesses.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
pub trait CommonPasswords: Send + Sync {
    fn contains(&self, password: &str) -> bool;
}

/// What an access token says (RFC 9068).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessClaims {
    pub user: UserId,
    pub session: LoginSessionId,
    /// `jti`.
    pub token: uuid::Uuid,
    pub issued_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
pub trait TokenSigner: Send + Sync {
    fn sign(&self, claims: &AccessClaims) -> Result<SecretString, PortError>;

    /// `None` unless algorithm, signature, `typ`, `iss` and `aud` are right, every claim is there
    /// and `now` lies between `nbf` and `exp`, with 30 s of leeway.
    fn verify(&self, token: &str, now: DateTime<Utc>) -> Option<AccessClaims>;

    /// SHA-256 of a refresh token.
    fn hash_refresh_token(&self, token: &str) -> RefreshTokenHash;
}
