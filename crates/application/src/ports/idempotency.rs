//! What was done already, so that a repeated request does it only once.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_domain::{GenerationId, MessageId, UserId};
use uuid::Uuid;

use super::PortError;

/// A key as it is stored, in the commit of what was done under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Keys of different routes have nothing to do with each other.
    pub route: &'static str,
    pub key: String,
    /// SHA-256 of what was asked for.
    pub fingerprint: [u8; 32],
    pub expires_at: DateTime<Utc>,
}

/// What was done under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedKey {
    pub fingerprint: [u8; 32],
    pub done: Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// A turn was begun.
    Turn(GenerationId),
    /// A message was stored.
    Message(MessageId),
    /// Something else was made: the route says what. It may be gone since.
    Resource(Uuid),
}

/// What came of making something once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made<T> {
    Now(T),
    /// The key was used before: nothing was stored.
    Before(UsedKey),
}

/// Keys go with the turn or message that they point at; those of other things stay for their time.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait IdempotencyKeys: Send + Sync {
    /// `None` when the key was not used, or expired by `now`.
    async fn find(
        &self,
        owner: UserId,
        route: &'static str,
        key: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<UsedKey>, PortError>;

    /// Deletes at most `limit` keys that expired by `now`; gives how many.
    async fn forget(&self, now: DateTime<Utc>, limit: u32) -> Result<u64, PortError>;
}
