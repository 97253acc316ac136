//! Keys for programs.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_domain::{
    ApiKeyId, UserId,
    accounts::{ApiKey, Role},
    audit::AuditEntry,
};

use super::{NewKey, PortError, SecretHash, UsedKey};
use crate::{Page, PageRequest};

/// By what a key is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyName {
    Secret(SecretHash),
    Id(ApiKeyId),
}

/// A key that is good, and what its owner may do as of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodKey {
    pub key: Arc<ApiKey>,
    pub role: Role,
}

/// What became of a key that was to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyInserted {
    Done,
    /// Its owner has as many live ones as they may: nothing was stored.
    TooMany,
    /// Nothing was stored: the idempotency key was used before.
    DoneBefore(UsedKey),
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait ApiKeyRepository: Send + Sync {
    /// Stores a key unless its owner has `most` that are live, however many are made at once. The
    /// idempotency key is stored in the same commit.
    ///
    /// # Errors
    /// [`PortError::Stale`] when the owner is gone.
    async fn insert(
        &self,
        key: ApiKey,
        secret: SecretHash,
        most: u32,
        idempotency: Option<NewKey>,
        entry: AuditEntry,
    ) -> Result<KeyInserted, PortError>;

    /// Everything that its owner made, newest first.
    async fn list(
        &self,
        owner: UserId,
        page: PageRequest<ApiKeyId>,
    ) -> Result<Page<ApiKey, ApiKeyId>, PortError>;

    /// Ends a key, and wakes those who watch the ends of its owner's login sessions. Says whether
    /// the owner has such a key; ending it twice is fine, and is recorded once.
    async fn revoke(
        &self,
        owner: UserId,
        id: ApiKeyId,
        now: DateTime<Utc>,
        entry: AuditEntry,
    ) -> Result<bool, PortError>;

    /// The key of that name: `None` once it was revoked or expired, or its owner was deactivated.
    /// May lag what other processes did by up to a second; never what this one did.
    async fn find_good(
        &self,
        name: KeyName,
        now: DateTime<Utc>,
    ) -> Result<Option<GoodKey>, PortError>;

    /// Stores what the audit log is to say of what was done with a key, and stored nowhere else.
    async fn record(&self, entry: AuditEntry) -> Result<(), PortError>;

    /// Notes that a key was used, in the background and at most once a minute. `first` is recorded
    /// with the first use, which happens once. What fails is logged.
    fn note_use(&self, id: ApiKeyId, now: DateTime<Utc>, first: AuditEntry);
}
