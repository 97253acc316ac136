//! Conversations and what was said in them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_domain::{
    ConversationId, MessageId, PersonaId, ProjectId, Reference, UserId,
    conversations::{Branching, Conversation, ConversationStatusName},
    messages::{Feedback, Message, MessageRole},
};

use super::{ChangeKind, NewKey, PortError, UsedKey};
use crate::{Order, Page, PageRequest};

pub type ConversationReference = Reference<ConversationId, 12>;
pub type MessageReference = Reference<MessageId, 10>;

/// What a list of conversations is ordered by: newest activity first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationKey {
    pub last_activity_at: DateTime<Utc>,
    pub id: ConversationId,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationFilter {
    /// Empty: any.
    pub statuses: Vec<ConversationStatusName>,
    /// Part of the title, without regard to case.
    pub title: Option<String>,
    /// With activity at this time or later.
    pub active_since: Option<DateTime<Utc>>,
    pub persona: Option<PersonaId>,
    pub project: Option<ProjectId>,
}

/// What a conversation came to. Of a reply that is being written nothing is known yet but that it
/// is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConversationStats {
    /// Messages by role.
    pub messages: BTreeMap<MessageRole, u64>,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// Micro-units of the price list's currency.
    pub cost: i64,
    pub first_activity_at: Option<DateTime<Utc>>,
    pub last_activity_at: Option<DateTime<Utc>>,
    /// How long replies took; `None` where there is none.
    pub reply_ms: Option<ReplyTimes>,
}

/// In milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTimes {
    pub mean: u64,
    /// 95 of 100 replies took no longer (nearest rank).
    pub p95: u64,
}

/// Which messages of a conversation are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch<M = MessageId> {
    /// The branch with the newest message.
    Newest,
    /// This message, what it follows back to the beginning, and on from it always the newest of
    /// what follows.
    Through(M),
    /// All branches together.
    All,
}

/// Where a message is put that names its parent, and what still has to hold when it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub branching: Branching,
    /// As in the [`History`](super::History) that the place was found in. `None` where it does not
    /// matter what else was said.
    pub seen: Option<u64>,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait ConversationRepository: Send + Sync {
    /// Stores it with its key and tells its owner's feed, in one commit; so do the other writes.
    /// Gives what the key was used for before: nothing is stored then.
    ///
    /// # Errors
    /// [`PortError::Taken`] with `id` when there is one with this id, whosever it is;
    /// [`PortError::Stale`] when what shapes it is gone meanwhile.
    async fn insert(
        &self,
        conversation: Conversation,
        key: Option<NewKey>,
    ) -> Result<Option<UsedKey>, PortError>;

    /// `None` when the conversation is missing **or belongs to someone else**.
    async fn find(
        &self,
        owner: UserId,
        conversation: ConversationReference,
    ) -> Result<Option<Conversation>, PortError>;

    /// Newest activity first. One query.
    async fn list(
        &self,
        owner: UserId,
        filter: ConversationFilter,
        page: PageRequest<ConversationKey>,
    ) -> Result<Page<Conversation, ConversationKey>, PortError>;

    /// Stores what its owner decides (subject and status), and gives the conversation back with
    /// the next version. `told` is what the feed says of it.
    ///
    /// # Errors
    /// [`PortError::Stale`] unless the stored version is the one read and what shapes it is there.
    async fn save(
        &self,
        conversation: Conversation,
        told: ChangeKind,
    ) -> Result<Conversation, PortError>;

    /// Deletes the conversation and everything in it. `false` when there was none.
    async fn delete(
        &self,
        owner: UserId,
        id: ConversationId,
        now: DateTime<Utc>,
    ) -> Result<bool, PortError>;
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait MessageRepository: Send + Sync {
    /// The messages of a conversation in the order in which they were stored. One query for a
    /// page that has any, two where it has branches. `None` when the conversation is missing or
    /// belongs to someone else.
    async fn list(
        &self,
        owner: UserId,
        conversation: ConversationReference,
        branch: Branch,
        order: Order,
        page: PageRequest<MessageId>,
    ) -> Result<Option<Page<Message, MessageId>>, PortError>;

    /// Stores a message that nobody answers with its key, moves its conversation's last activity,
    /// makes its messages a tree where this is its first branch, and tells its owner's feed, in one
    /// commit. Gives what the key was used for before: nothing is stored then.
    ///
    /// # Errors
    /// [`PortError::Stale`] when the conversation is gone, no longer takes messages, or is not as
    /// `place` has it any more.
    async fn store(
        &self,
        owner: UserId,
        message: Message,
        place: Place,
        key: Option<NewKey>,
    ) -> Result<Option<UsedKey>, PortError>;

    /// `None` when it is missing or belongs to someone else.
    async fn find(&self, owner: UserId, message: MessageId) -> Result<Option<Message>, PortError>;

    /// One query. `None` when there is no such message in this conversation, or it belongs to
    /// someone else.
    async fn find_in(
        &self,
        owner: UserId,
        conversation: ConversationReference,
        message: MessageReference,
    ) -> Result<Option<Message>, PortError>;

    /// Stores what its reader thinks of a message, in place of what was stored; `None` takes it
    /// back. `false` when it is missing or belongs to someone else.
    async fn rate(
        &self,
        owner: UserId,
        message: MessageId,
        feedback: Option<Feedback>,
    ) -> Result<bool, PortError>;

    /// What a conversation came to: two queries. `None` when the conversation is missing or belongs
    /// to someone else.
    async fn stats(
        &self,
        owner: UserId,
        conversation: ConversationReference,
    ) -> Result<Option<ConversationStats>, PortError>;
}

impl Place {
    /// After everything that is stored, in a conversation without branches.
    pub const LINEAR: Self = Self { branching: Branching::Linear, seen: None };
}
