//! Conversations of people without an account.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_domain::{GenerationId, accounts::User, conversations::Conversation};

use super::{PortError, SecretHash};

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait GuestRepository: Send + Sync {
    /// Stores a guest and their conversation, known by `key` and kept until `expires_at`, and tells
    /// the guest's feed, in one commit. What was known by the same key, and expired by the time the
    /// conversation begins, is known by it no more.
    ///
    /// # Errors
    /// [`PortError::Taken`] with `session_id` when a conversation is known by the key.
    async fn begin(
        &self,
        guest: User,
        conversation: Conversation,
        key: SecretHash,
        expires_at: DateTime<Utc>,
    ) -> Result<(), PortError>;

    /// The conversation that is known by the key; `None` where it expired by `now`.
    async fn find(
        &self,
        key: SecretHash,
        now: DateTime<Utc>,
    ) -> Result<Option<Conversation>, PortError>;

    /// Replies that are being written in conversations which expired by `now`: at most `limit`.
    async fn running(&self, now: DateTime<Utc>, limit: u32)
    -> Result<Vec<GenerationId>, PortError>;

    /// Deletes at most `limit` guests whose conversations expired by `now`, with everything that is
    /// theirs; gives how many. Those with a reply that is being written are left for later.
    async fn forget(&self, now: DateTime<Utc>, limit: u32) -> Result<u64, PortError>;
}
