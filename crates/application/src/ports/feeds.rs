//! What a user's devices are told, from whichever of them it came.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use repartee_domain::{
    ConversationId, UserId, conversations::Conversation, messages::Message, replies::Generation,
};

use super::{LoggedEvent, PortError};

/// What happened. The store keeps pointers: what they point at is read when it is told, so that a
/// conversation that changed twice is told twice as it is now.
#[derive(Debug)]
pub enum Change {
    ConversationCreated(Box<Conversation>),
    ConversationUpdated(Box<Conversation>),
    ConversationArchived(Box<Conversation>),
    ConversationDeleted,
    MessageCreated(Box<Message>),
    GenerationStarted(Box<Generation>),
    /// With the terminal event as it was stored.
    GenerationEnded(Box<Generation>, LoggedEvent),
    /// A login session of the user ended. Told to nobody: it makes streams look whether they are
    /// still somebody's.
    SessionEnded,
}

/// A change in the order in which its user's changes were committed.
#[derive(Debug)]
pub struct StoredChange {
    /// 1, 2, 3 …, per user.
    pub seq: u64,
    /// `None` for what belongs to no conversation.
    pub conversation: Option<ConversationId>,
    pub change: Change,
}

#[derive(Debug)]
pub struct Changes {
    /// In order. What was deleted meanwhile is left out.
    pub changes: Vec<StoredChange>,
    /// How far was read: at least the last change's number.
    pub read_to: u64,
    /// Whether there is more after it.
    pub has_more: bool,
}

/// What somebody wants to be woken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Watched {
    /// Every change of the user.
    Changes,
    /// [`Change::SessionEnded`] alone, where it can be told apart: every open stream waits for it,
    /// and looks at the database when it is woken.
    SessionEnds,
}

/// The changes of users, written by the repositories in the commits that make them.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait FeedLog: Send + Sync {
    /// The number of a user's newest change; 0 for none.
    async fn newest(&self, owner: UserId) -> Result<u64, PortError>;

    /// At most `limit` changes after a number, of one conversation where it is named. `None` when
    /// changes after it were forgotten, or when there was no such number yet.
    async fn changes_after(
        &self,
        owner: UserId,
        conversation: Option<ConversationId>,
        after: u64,
        limit: u32,
    ) -> Result<Option<Changes>, PortError>;

    /// Yields at once, and then after what is watched was stored, however often it was; for
    /// another process at most a second later. May yield for nothing, and never ends.
    fn watch(&self, owner: UserId, what: Watched) -> BoxStream<'static, ()>;

    /// Forgets the oldest `limit` changes that were stored before the given time, and those that
    /// have smaller numbers; gives how many the oldest were.
    async fn forget(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, PortError>;
}

/// What a change is called on the wire and in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    ConversationCreated,
    ConversationUpdated,
    ConversationArchived,
    ConversationDeleted,
    MessageCreated,
    GenerationStarted,
    GenerationEnded,
    SessionEnded,
}

impl ChangeKind {
    const ALL: [Self; 8] = [
        Self::ConversationCreated,
        Self::ConversationUpdated,
        Self::ConversationArchived,
        Self::ConversationDeleted,
        Self::MessageCreated,
        Self::GenerationStarted,
        Self::GenerationEnded,
        Self::SessionEnded,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConversationCreated => "conversation.created",
            Self::ConversationUpdated => "conversation.updated",
            Self::ConversationArchived => "conversation.archived",
            Self::ConversationDeleted => "conversation.deleted",
            Self::MessageCreated => "message.created",
            Self::GenerationStarted => "generation.started",
            Self::GenerationEnded => "generation.ended",
            Self::SessionEnded => "session.ended",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Change {
    pub const fn kind(&self) -> ChangeKind {
        match self {
            Self::ConversationCreated(_) => ChangeKind::ConversationCreated,
            Self::ConversationUpdated(_) => ChangeKind::ConversationUpdated,
            Self::ConversationArchived(_) => ChangeKind::ConversationArchived,
            Self::ConversationDeleted => ChangeKind::ConversationDeleted,
            Self::MessageCreated(_) => ChangeKind::MessageCreated,
            Self::GenerationStarted(_) => ChangeKind::GenerationStarted,
            Self::GenerationEnded(..) => ChangeKind::GenerationEnded,
            Self::SessionEnded => ChangeKind::SessionEnded,
        }
    }
}
