//! Links by which anyone reads a conversation as it was.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_domain::{
    ConversationId, MessageId, UserId, audit::AuditEntry, messages::MessageRole,
};

use super::{NewKey, PortError, SecretHash, UsedKey};
use crate::{Page, PageRequest};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    pub conversation: ConversationId,
    pub owner: UserId,
    pub token: SecretHash,
    pub created_at: DateTime<Utc>,
    /// `None`: not by itself.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What a link shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// As it was when the link was made.
    pub title: Option<String>,
    pub shared_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub messages: Page<SharedMessage, MessageId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedMessage {
    pub id: MessageId,
    /// A user or the assistant.
    pub role: MessageRole,
    pub content: String,
    pub model: Option<String>,
    pub created_at: DateTime<Utc>,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait SharedLinkRepository: Send + Sync {
    /// Stores the link of a conversation, in place of the one that it had, with its key and what
    /// the audit log is to say of it, in one commit. It shows the title and the branch that are
    /// there now. Gives what the key was used for before: nothing is stored then.
    ///
    /// # Errors
    /// [`PortError::Stale`] when the owner has no such conversation.
    async fn put(
        &self,
        link: NewLink,
        key: Option<NewKey>,
        entry: AuditEntry,
    ) -> Result<Option<UsedKey>, PortError>;

    /// Ends the link of a conversation. `false` when the owner's has none.
    async fn remove(
        &self,
        owner: UserId,
        conversation: ConversationId,
        entry: AuditEntry,
    ) -> Result<bool, PortError>;

    /// What the link with this token shows at `now`, oldest first: what users and the assistant had
    /// said, and finished, when it was made. `None` where there is no such link, it expired, or its
    /// owner was deactivated.
    async fn read(
        &self,
        token: SecretHash,
        page: PageRequest<MessageId>,
        now: DateTime<Utc>,
    ) -> Result<Option<Snapshot>, PortError>;
}
