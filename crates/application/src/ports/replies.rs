//! Replies being written: where they are stored and where they are read from meanwhile.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use repartee_domain::{
    ConversationId, GenerationId, MessageId, UserId,
    messages::{Message, MessageRole},
    replies::{Ended, Generation, GenerationState, Outcome},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::PortError;

/// What happens to a reply, before it is put into bytes.
#[derive(Debug)]
pub enum ReplyEvent<'a> {
    /// The first event, before any token.
    Started {
        generation: &'a Generation,
    },
    /// The reply waits for its turn at the model; `position` is how many are before it, and it.
    Queued {
        position: u32,
    },
    Delta {
        text: &'a str,
    },
    /// The last event, with the reply as it is stored.
    Ended {
        outcome: Outcome,
        reply: &'a Message,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    Start,
    Queued,
    Delta,
    Done,
    Cancelled,
    Failed,
    Interrupted,
}

/// An event with its number and its bytes: what every subscriber of every surface reads.
#[derive(Debug)]
pub struct LoggedEvent {
    pub generation: GenerationId,
    /// 1, 2, 3 … with no gap.
    pub seq: u64,
    pub kind: EventKind,
    /// JSON, serialised once, whoever reads it.
    pub data: Bytes,
    /// The event in a surface's framing, made by the first that needs it.
    framed: OnceLock<Bytes>,
}

/// Puts events into bytes, in the one vocabulary of all surfaces.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
pub trait EventEncoder: Send + Sync {
    /// A JSON object. The same event gives the same bytes.
    #[cfg_attr(any(test, feature = "test-support"), mockall::concretize)]
    fn encode(&self, event: &ReplyEvent<'_>) -> Bytes;
}

/// Events in order, from where the subscriber asked, ending after the terminal one.
pub type EventStream = BoxStream<'static, Arc<LoggedEvent>>;

/// The live events of replies that are being written or were just now.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait GenerationLog: Send + Sync {
    /// Begins a log. The token is cancelled when somebody asks for the reply to stop.
    fn open(&self, generation: GenerationId) -> CancellationToken;

    /// Adds the next event. Never waits for a reader, and never fails: trouble on the way to a
    /// subscriber does not stop a reply. A terminal event takes the next number, whatever its own,
    /// and closes the log; it stays readable for as long as memory allows.
    fn append(&self, event: Arc<LoggedEvent>);

    /// Everything after the number `after`, what is there already and what comes, each once.
    /// `None` when this log does not hold the generation: the database may.
    async fn subscribe(
        &self,
        generation: GenerationId,
        after: u64,
    ) -> Result<Option<EventStream>, PortError>;

    /// Asks for the reply to stop, wherever it is being written. `false` when it is not known
    /// here. Asking twice is fine.
    async fn cancel(&self, generation: GenerationId) -> Result<bool, PortError>;
}

/// The process that writes a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseOwner(pub Uuid);

/// A question with the reply that is about to be written.
#[derive(Debug, Clone)]
pub struct NewTurn {
    pub question: Message,
    pub reply: Message,
    pub generation: Generation,
    pub lease_owner: LeaseOwner,
    pub lease_until: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnBegun {
    Begun,
    /// One reply at a time in a conversation: this one is being written.
    ReplyInProgress(GenerationId),
    /// The conversation was deleted, ended or archived meanwhile.
    ConversationClosed,
}

/// Events of one generation that are to survive a crash.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub generation: GenerationId,
    /// In order, without a gap, not empty.
    pub events: Vec<Arc<LoggedEvent>>,
    /// What the deltas among them say.
    pub text: String,
}

/// A reply that is over.
#[derive(Debug, Clone)]
pub struct FinishedTurn {
    pub ended: Ended,
    /// What was not checkpointed yet.
    pub unsaved: Option<Checkpoint>,
    pub terminal: Arc<LoggedEvent>,
}

/// A reply whose process went away.
#[derive(Debug, Clone)]
pub struct Orphan {
    pub generation: Generation,
    /// The reply as it was stored when it began.
    pub reply: Message,
    /// What the checkpoints say of its text.
    pub text: String,
    /// The last number that was checkpointed; 0 for none.
    pub last_seq: u64,
}

/// What a model may get to see of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMessage {
    pub id: MessageId,
    pub role: MessageRole,
    pub content: String,
}

/// A generation as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredGeneration {
    pub generation: Generation,
    pub state: GenerationState,
    pub attempts: u32,
    /// The terminal event's number; `None` while it runs.
    pub last_seq: Option<u64>,
    pub ended_at: Option<DateTime<Utc>>,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait TurnRepository: Send + Sync {
    /// Stores question, empty reply and generation, and moves the conversation's last activity:
    /// all in one commit, or nothing.
    async fn begin_turn(&self, turn: NewTurn) -> Result<TurnBegun, PortError>;

    /// Stores events of any number of generations in one commit. Those of a generation that is
    /// over already are left out.
    async fn checkpoint(&self, checkpoints: Vec<Checkpoint>) -> Result<(), PortError>;

    /// Stores the reply, the generation's end and its last events in one commit.
    ///
    /// # Errors
    /// [`PortError::Stale`] when the generation is over already, or was deleted.
    async fn finish_turn(&self, turn: FinishedTurn) -> Result<(), PortError>;

    /// Says that this process still writes its replies.
    async fn renew_leases(&self, owner: LeaseOwner, until: DateTime<Utc>) -> Result<(), PortError>;

    /// Replies that nobody writes any more: those whose lease ran out before `now`, and, where
    /// only one process can use the database, all of other owners; never those of `living`. At most
    /// `limit`, oldest first.
    async fn orphans(
        &self,
        living: LeaseOwner,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Orphan>, PortError>;

    /// The reply that is being written in a conversation.
    async fn running(
        &self,
        owner: UserId,
        conversation: ConversationId,
    ) -> Result<Option<GenerationId>, PortError>;

    /// A running reply as it would be settled; `None` when it is over or gone.
    async fn orphan(&self, generation: GenerationId) -> Result<Option<Orphan>, PortError>;

    /// Deletes the checkpoints of replies that ended before the given time; their terminal event
    /// stays. At most `limit` generations; gives how many.
    async fn forget_events(
        &self,
        ended_before: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, PortError>;

    /// `None` when it is missing or belongs to someone else.
    async fn find(
        &self,
        owner: UserId,
        generation: GenerationId,
    ) -> Result<Option<StoredGeneration>, PortError>;

    /// What is stored of a generation's events after the number `after`, in order. A reply that
    /// is over always gives at least its terminal event, unless that is not after `after`.
    async fn events_after(
        &self,
        generation: GenerationId,
        after: u64,
    ) -> Result<Vec<LoggedEvent>, PortError>;

    /// The newest messages of a conversation before `before` (all, where it is `None`), newest
    /// first, whatever became of them. At most `limit`. One query.
    async fn history(
        &self,
        owner: UserId,
        conversation: ConversationId,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<PastMessage>, PortError>;
}

impl LoggedEvent {
    pub fn new(generation: GenerationId, seq: u64, kind: EventKind, data: Bytes) -> Self {
        Self { generation, seq, kind, data, framed: OnceLock::new() }
    }

    /// The same event under another number, for readers who have seen more of a reply than was
    /// stored of it.
    #[must_use]
    pub fn renumbered(&self, seq: u64) -> Self {
        Self::new(self.generation, seq, self.kind, self.data.clone())
    }

    /// The event in a surface's framing. `frame` runs at most once, however many read the event.
    pub fn framed(&self, frame: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.framed.get_or_init(|| frame(self)).clone()
    }
}

impl EventKind {
    /// The name of the event on SSE, and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Queued => "queued",
            Self::Delta => "delta",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Start,
            Self::Queued,
            Self::Delta,
            Self::Done,
            Self::Cancelled,
            Self::Failed,
            Self::Interrupted,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == name)
    }

    /// Whether nothing comes after it.
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Start | Self::Queued | Self::Delta)
    }
}

impl From<Outcome> for EventKind {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Completed(_) => Self::Done,
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Failed(_) => Self::Failed,
            Outcome::Interrupted => Self::Interrupted,
        }
    }
}

impl ReplyEvent<'_> {
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Started { .. } => EventKind::Start,
            Self::Queued { .. } => EventKind::Queued,
            Self::Delta { .. } => EventKind::Delta,
            Self::Ended { outcome, .. } => (*outcome).into(),
        }
    }
}
