//! The events of replies that are being written, and where they are read from meanwhile.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use repartee_domain::{
    GenerationId,
    messages::Message,
    replies::{Generation, Outcome},
};
use tokio_util::sync::CancellationToken;

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
