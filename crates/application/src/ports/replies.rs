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

use super::{NewKey, PortError, TurnBudget, UsedKey};

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
        /// How often models were asked.
        attempts: u32,
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
    /// The event in each envelope, made by the first that needs it.
    framed: [OnceLock<Bytes>; Envelope::COUNT],
}

/// What an event is wrapped in: one content, several surfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Envelope {
    Sse,
    WebSocket,
    Feed,
}

impl Envelope {
    pub const COUNT: usize = 3;
}

/// Puts events into bytes, in the one vocabulary of all surfaces.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
pub trait EventEncoder: Send + Sync {
    /// A JSON object. The same event gives the same bytes.
    #[cfg_attr(any(test, feature = "test-support"), mockall::concretize)]
    fn encode(&self, event: &ReplyEvent<'_>) -> Bytes;

    /// The text of a delta's bytes; `None` for what is none.
    fn delta_text(&self, data: &[u8]) -> Option<String>;
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

    /// Everything up to the number `seq` is stored: the log need not keep it.
    fn stored(&self, generation: GenerationId, seq: u64);

    /// Everything after the number `after`, what is there already and what comes, each once.
    /// `None` when this log does not hold the generation, and an early end when it does not hold
    /// the next event: the database may.
    async fn subscribe(
        &self,
        generation: GenerationId,
        after: u64,
    ) -> Result<Option<EventStream>, PortError>;

    /// Asks for a reply of this process to stop. `false` when it is not being written here.
    /// Asking twice is fine.
    fn cancel(&self, generation: GenerationId) -> bool;

    /// What is there of a reply that another process wrote after the number `after`, in order and
    /// without a gap. Nothing where only the writing process knew.
    async fn left_behind(
        &self,
        generation: GenerationId,
        after: u64,
    ) -> Result<Vec<Arc<LoggedEvent>>, PortError>;
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
    /// Stored with the turn, so that a repeated request finds it.
    pub key: Option<NewKey>,
    /// How many replies its owner may have written at once, this one included.
    pub most_running: u32,
    pub budget: TurnBudget,
    /// When the conversation expires now, where it does: each message moves that.
    pub expires_at: Option<DateTime<Utc>>,
    /// As in the [`History`] that the prompt was assembled from; 0 where nothing had been said.
    pub seen: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnBegun {
    Begun,
    /// As the month's budget has less left than the turn might take, so many tokens are what prompt
    /// and reply may have.
    BegunWithin {
        tokens: u64,
    },
    /// The month's budget of the user or of the key is used up, or as good as.
    OverBudget,
    /// One reply at a time in a conversation: this one is being written.
    ReplyInProgress(GenerationId),
    /// The conversation was deleted, ended or archived meanwhile.
    ConversationClosed,
    /// The key was used before: nothing was stored.
    KeyUsed(UsedKey),
    /// So many of the owner's replies are being written already.
    TooManyRunning,
    /// More was said in the conversation than the prompt was assembled from.
    Outdated,
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
    /// Tokens that are reserved for prompt and reply; `None` where nothing is limited.
    pub reserved: Option<u64>,
}

/// What a model may get to see of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMessage {
    pub id: MessageId,
    pub role: MessageRole,
    pub content: String,
}

/// What was said in a conversation, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    pub messages: Vec<PastMessage>,
    /// The number of the owner's newest change that this shows; 0 where there is no message.
    pub seen: u64,
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
    /// Stores question, empty reply, generation and key, moves the conversation's last activity,
    /// reserves the tokens that the turn may take, and tells the owner's feed: all in one commit, or
    /// nothing. However many begin at once, what is used and reserved in a month never is more than
    /// its limits. Nor is it begun where a message was stored in its conversation, or a reply ended,
    /// that it has not seen. Of the reasons not to begin, a used key is told first.
    async fn begin_turn(&self, turn: NewTurn) -> Result<TurnBegun, PortError>;

    /// Stores events of any number of generations in one commit. Those of a generation that is
    /// over already are left out.
    async fn checkpoint(&self, checkpoints: Vec<Checkpoint>) -> Result<(), PortError>;

    /// Stores the reply, the generation's end, its model and its last events, counts the tokens that
    /// it used in place of those that were reserved, and tells the owner's feed, in one commit.
    ///
    /// # Errors
    /// [`PortError::Stale`] when the generation is over already, or was deleted.
    async fn finish_turn(&self, turn: FinishedTurn) -> Result<(), PortError>;

    /// Ends a reply for a process that went away, as [`TurnRepository::finish_turn`] does. `false`
    /// when more was checkpointed than the number `stored_to`: somebody writes it after all, and
    /// nothing is stored.
    async fn settle_turn(&self, turn: FinishedTurn, stored_to: u64) -> Result<bool, PortError>;

    /// Says that this process still writes these replies. Those of other owners and those that are
    /// over are left alone.
    async fn renew_leases(
        &self,
        owner: LeaseOwner,
        generations: Vec<GenerationId>,
        until: DateTime<Utc>,
    ) -> Result<(), PortError>;

    /// Replies that nobody writes any more: those whose lease ran out before `now`, and, where
    /// only one process can use the database, all that are not of `living`. At most `limit`, oldest
    /// first. One that cannot be read is logged and left out.
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

    /// All of a user's replies that are being written, oldest first.
    async fn running_of(&self, owner: UserId) -> Result<Vec<Generation>, PortError>;

    /// Leaves word for the process that writes a reply: it has to stop. Does nothing to one that
    /// is over.
    async fn request_cancel(
        &self,
        generation: GenerationId,
        now: DateTime<Utc>,
    ) -> Result<(), PortError>;

    /// Which of a process's running replies somebody wants to stop.
    async fn cancel_requests(&self, owner: LeaseOwner) -> Result<Vec<GenerationId>, PortError>;

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

    /// What is stored of a generation's events after the number `after`, in order: what memory
    /// takes of them, the rest when asked again. A reply that is over always gives at least its
    /// terminal event, unless that is not after `after`.
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
    ) -> Result<History, PortError>;
}

impl LoggedEvent {
    pub fn new(generation: GenerationId, seq: u64, kind: EventKind, data: Bytes) -> Self {
        Self { generation, seq, kind, data, framed: Default::default() }
    }

    /// The same event under another number, for readers who have seen more of a reply than was
    /// stored of it.
    #[must_use]
    pub fn renumbered(&self, seq: u64) -> Self {
        Self::new(self.generation, seq, self.kind, self.data.clone())
    }

    /// The event in an envelope. `frame` runs at most once for each, however many read the event.
    pub fn framed(&self, envelope: Envelope, frame: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.framed[envelope as usize].get_or_init(|| frame(self)).clone()
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
