//! Turns: how replies are stored, from the question to the end.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_domain::{
    ConversationId, GenerationId, MessageId, UserId,
    conversations::Branching,
    messages::{Message, MessageRole},
    replies::{Ended, Generation, GenerationState},
};
use uuid::Uuid;

use super::{LoggedEvent, NewKey, PortError, TurnBudget, UsedKey};

/// The process that writes a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseOwner(pub Uuid);

/// What a turn answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// It is stored when the turn begins.
    New(Message),
    /// It was stored before, and is answered anew, or at last.
    Stored(Message),
}

/// A question with the reply that is about to be written.
#[derive(Debug, Clone)]
pub struct NewTurn {
    pub question: Question,
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
    pub branching: Branching,
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
    /// More was said in the conversation than the prompt was assembled from, or it was branched.
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

/// Where a history is read from, back to the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryFrom {
    /// The end of the newest branch.
    End,
    /// This message, which is in it.
    At(MessageId),
    /// What this message follows.
    Before(MessageId),
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
    /// Stores a new question, empty reply, generation and key, moves the conversation's last
    /// activity, makes its messages a tree where this is its first branch, reserves the tokens that
    /// the turn may take, and tells the owner's feed: all in one commit, or nothing. However many
    /// begin at once, what is used and reserved in a month never is more than its limits. Nor is it
    /// begun where a message was stored in its conversation, or a reply ended, that it has not seen,
    /// nor where that has branches and [`NewTurn::branching`] knows of none, or the other way round.
    /// Of the reasons not to begin, a used key is told first.
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

    /// What was said in a conversation up to a place in it, newest first, whatever became of it:
    /// without branches everything that was stored before, with branches the message, the one that
    /// it follows, and so on. At most `limit`. One query while there are no branches, then two.
    async fn history(
        &self,
        owner: UserId,
        conversation: ConversationId,
        from: HistoryFrom,
        limit: u32,
    ) -> Result<History, PortError>;
}

impl Question {
    pub fn message(&self) -> &Message {
        match self {
            Self::New(message) | Self::Stored(message) => message,
        }
    }

    pub fn into_message(self) -> Message {
        match self {
            Self::New(message) | Self::Stored(message) => message,
        }
    }
}
