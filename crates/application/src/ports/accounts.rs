//! Users, their passwords and their login sessions.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_domain::{
    ApiKeyId, GenerationId, LoginSessionId, RefreshTokenId, UserId,
    accounts::{Email, LoginSession, RefreshTokenHash, Role, Scopes, User, Username},
    audit::AuditEntry,
};
use secrecy::{ExposeSecret, SecretString};

use super::{NameHash, PortError};
use crate::{Page, PageRequest};

/// A password hash in the PHC string format, or as passlib writes PBKDF2-SHA256.
#[derive(Debug, Clone)]
pub struct PasswordHash(pub SecretString);

impl PasswordHash {
    const NONE: &str = "!";

    /// That of somebody who has no password yet: nothing matches it.
    pub fn none() -> Self {
        Self(Self::NONE.into())
    }

    pub fn is_none(&self) -> bool {
        self.0.expose_secret() == Self::NONE
    }
}

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

/// A password that takes another one's place.
#[derive(Debug)]
pub struct PasswordChange {
    pub user: UserId,
    pub old: PasswordHash,
    pub new: PasswordHash,
    /// The login session that goes on.
    pub keep: Option<LoginSessionId>,
    pub at: DateTime<Utc>,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait UserRepository: Send + Sync {
    /// Stores the user and, in the same commit, their first login session and what the audit log is
    /// to say of it, as every method does that takes an entry.
    ///
    /// # Errors
    /// [`PortError::Taken`] with `email` or `username`.
    async fn register(
        &self,
        user: &User,
        password: &PasswordHash,
        session: Option<LoginSession>,
        entry: AuditEntry,
    ) -> Result<(), PortError>;

    async fn find(&self, id: UserId) -> Result<Option<User>, PortError>;

    /// The user with that address, or whose username has the same key. Never a guest.
    async fn credentials(&self, name: &LoginName) -> Result<Option<Credentials>, PortError>;

    /// Stores the profile. Gives the user back with the next version.
    ///
    /// # Errors
    /// [`PortError::Stale`] unless the stored version is the one read; [`PortError::Taken`] with
    /// `username`.
    async fn save(&self, user: User, entry: AuditEntry) -> Result<User, PortError>;

    /// Replaces a hash that was made with weaker parameters. Does nothing when the stored hash is
    /// no longer `old`.
    async fn rehash(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<(), PortError>;

    /// Stores a new password and ends every other login session of the user, in one commit. Links
    /// that would reset the password are good no more.
    ///
    /// # Errors
    /// [`PortError::Stale`] when the stored hash is no longer the old one.
    async fn change_password(
        &self,
        change: PasswordChange,
        entry: AuditEntry,
    ) -> Result<(), PortError>;

    /// Whether nobody is registered at all. Guests don't count.
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

/// A login session as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub id: LoginSessionId,
    pub user_agent: Option<String>,
    pub ip: Option<String>,
    pub signed_in_at: DateTime<Utc>,
    /// When its tokens were last renewed.
    pub last_used_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
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
    /// [`PortError::Stale`] when the user is gone or inactive, or `proof`, the hash that their
    /// password matched, is not the stored one any more.
    async fn open(
        &self,
        session: LoginSession,
        proof: PasswordHash,
        entry: AuditEntry,
    ) -> Result<(), PortError>;

    async fn find_token(
        &self,
        hash: RefreshTokenHash,
    ) -> Result<Option<StoredRefreshToken>, PortError>;

    /// Spends `spent` and stores the token that follows it, in one commit.
    ///
    /// # Errors
    /// [`PortError::Stale`] when it was spent or its session was ended before: of any number of
    /// concurrent calls exactly one succeeds.
    async fn rotate(
        &self,
        spent: RefreshTokenId,
        next: LoginSession,
        entry: AuditEntry,
    ) -> Result<(), PortError>;

    /// Ends one session with all its tokens and tells its owner's feed, in one commit. Ending it
    /// twice is fine, and is recorded once.
    async fn end(
        &self,
        id: LoginSessionId,
        now: DateTime<Utc>,
        entry: AuditEntry,
    ) -> Result<(), PortError>;

    /// A user's sessions that are good at `now`, newest first.
    async fn devices(
        &self,
        owner: UserId,
        page: PageRequest<LoginSessionId>,
        now: DateTime<Utc>,
    ) -> Result<Page<Device, LoginSessionId>, PortError>;

    /// Whether this session is the user's and good at `now`.
    async fn is_device_of(
        &self,
        owner: UserId,
        id: LoginSessionId,
        now: DateTime<Utc>,
    ) -> Result<bool, PortError>;

    /// Ends every session of a user.
    async fn end_all(
        &self,
        user: UserId,
        now: DateTime<Utc>,
        entry: AuditEntry,
    ) -> Result<(), PortError>;

    /// Who is signed in with this session: `None` once it was ended or ran out, or its user was
    /// deactivated. May lag what other processes did by up to a second; never what this one did.
    async fn principal(
        &self,
        id: LoginSessionId,
        now: DateTime<Utc>,
    ) -> Result<Option<Principal>, PortError>;
}

/// SHA-256 of a secret that is good once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash(pub [u8; 32]);

/// Opens one stream or socket, where a browser can set no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    pub hash: SecretHash,
    pub user: UserId,
    pub signed_in: SignedIn,
    /// Until then it may be spent.
    pub expires_at: DateTime<Utc>,
    /// Until then a spent one resumes the reply that it opened.
    pub resumes_until: DateTime<Utc>,
}

/// Where whoever asked for a ticket is signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedIn {
    Here(LoginSessionId),
    /// With a token of another issuer, which nothing that the ticket opens outlasts.
    Elsewhere {
        expires_at: DateTime<Utc>,
    },
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait TicketRepository: Send + Sync {
    async fn store(&self, ticket: Ticket) -> Result<(), PortError>;

    /// Spends a ticket: of any number of concurrent calls one gets it. `None` when there is none,
    /// it was spent, or it expired by `now`.
    async fn spend(
        &self,
        hash: SecretHash,
        now: DateTime<Utc>,
    ) -> Result<Option<Ticket>, PortError>;

    /// Says which reply a spent ticket opened. The first one counts.
    async fn bind(&self, hash: SecretHash, generation: GenerationId) -> Result<(), PortError>;

    /// A spent ticket that opened this reply and may still resume it at `now`.
    async fn opened(
        &self,
        hash: SecretHash,
        generation: GenerationId,
        now: DateTime<Utc>,
    ) -> Result<Option<Ticket>, PortError>;

    /// Deletes at most `limit` tickets that are good for nothing any more; gives how many.
    async fn forget(&self, now: DateTime<Utc>, limit: u32) -> Result<u64, PortError>;
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

    /// Costs one hashing as [`PasswordHasher::hash`] does it, whether there is a hash to compare
    /// with or not. A hash that was made in another way is compared with beside that, at once.
    async fn verify(
        &self,
        password: SecretString,
        hash: Option<PasswordHash>,
    ) -> Result<PasswordCheck, PortError>;

    /// Whether a password can be compared with this hash, which somebody else made.
    fn can_verify(&self, hash: &PasswordHash) -> bool;
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
    pub holder: Holder,
    /// `jti`.
    pub token: uuid::Uuid,
    pub issued_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// On whose behalf an access token was made. The token is good for as long as that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A signed-in device: `sid`.
    Session(LoginSessionId),
    /// A program with a key (RFC 9068, 2.2.3: `client_id`, `scope`), for some of what the key opens.
    Key { id: ApiKeyId, scopes: Scopes },
}

/// A key that others check our tokens with (RFC 7517). Numbers are big-endian bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// `kid`: its thumbprint (RFC 7638).
    pub id: String,
    pub material: PublicKeyMaterial,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKeyMaterial {
    /// Signs with `EdDSA` (RFC 8037).
    Ed25519 { x: Vec<u8> },
    /// Signs with ES256.
    P256 { x: Vec<u8>, y: Vec<u8> },
    /// Signs with RS256.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
pub trait TokenSigner: Send + Sync {
    fn sign(&self, claims: &AccessClaims) -> Result<SecretString, PortError>;

    /// `None` unless algorithm, signature, `typ`, `iss` and `aud` are right, every claim is there
    /// and `now` lies between `nbf` and `exp`, with 30 s of leeway.
    fn verify(&self, token: &str, now: DateTime<Utc>) -> Option<AccessClaims>;

    /// The keys that tokens of ours may be signed with, the one in use first; none where that is a
    /// secret.
    fn public_keys(&self) -> Vec<PublicKey>;

    /// SHA-256 of a refresh token.
    fn hash_refresh_token(&self, token: &str) -> RefreshTokenHash;

    /// SHA-256 of a name.
    fn hash_name(&self, name: &str) -> NameHash;

    /// SHA-256 of a secret that is good once, or of a key's.
    fn hash_secret(&self, secret: &str) -> SecretHash;
}
