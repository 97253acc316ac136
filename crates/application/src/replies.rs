//! Replies: asking for one, reading it while it is written, stopping it.
//!
//! A reply belongs to the server, not to the connection that asked for it. `send` stores the
//! question and spawns a runner; the runner writes into the log and the database; subscribers
//! read the log. They meet nowhere else.

mod admission;
mod begin;
mod branches;
mod budget;
mod cancel;
mod checkpoints;
mod draft;
mod drain;
mod finish;
mod in_hand;
mod keys;
mod prompt;
mod room;
mod runner;
mod send;
mod settle;
mod subscribe;
mod upkeep;
mod writer;
mod writing;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::Duration,
};

use chrono::TimeDelta;
use repartee_domain::replies::Generation;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::keys::ROUTE as KEY_ROUTE;
pub use self::send::{Begun, NewMessage, ReplyOptions};
use self::{admission::Admission, checkpoints::Checkpointer, in_hand::InHand};
pub(crate) use self::{admission::Place, begin::RETRY_AFTER_SHUTDOWN, room::Room, send::check};
use crate::{
    models::ModelCatalogue,
    ports::{
        Clock, ConversationRepository, EventEncoder, GenerationLog, IdGenerator, IdempotencyKeys,
        LeaseOwner, MessageRepository, ShapeRepository, Spawner, StoredGeneration, TurnRepository,
    },
    titles::Untitled,
};

/// Conversations without a title that wait for one.
const UNTITLED_AHEAD: usize = 1_024;
/// How long a process may be silent before its replies are settled by another.
const LEASE: TimeDelta = TimeDelta::seconds(15);

#[derive(Clone)]
pub struct ReplyService {
    shared: Arc<Shared>,
}

pub struct ReplyPorts {
    pub conversations: Arc<dyn ConversationRepository>,
    pub messages: Arc<dyn MessageRepository>,
    pub shapes: Arc<dyn ShapeRepository>,
    pub turns: Arc<dyn TurnRepository>,
    pub keys: Arc<dyn IdempotencyKeys>,
    pub log: Arc<dyn GenerationLog>,
    pub encoder: Arc<dyn EventEncoder>,
    pub models: Arc<ModelCatalogue>,
    pub spawner: Arc<dyn Spawner>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
}

#[derive(Debug, Clone)]
pub struct ReplyRules {
    /// The operator's part of the system message.
    pub operator_message: Option<String>,
    /// The system message where there is no other.
    pub default_message: String,
    /// How many of a user's replies may be written at once, by all processes together.
    pub most_per_user: u32,
    /// How many replies this process writes at once; more wait their turn.
    pub most_at_once: usize,
    /// Tokens that a user may use in a calendar month (UTC); `None` for any number.
    pub monthly_token_budget: Option<u64>,
    /// How long a guest's conversation is kept after its last message.
    pub guests_kept: TimeDelta,
    /// How long events stay replayable after a reply ended; later, the stored message answers.
    pub replayable: Duration,
}

/// What the service and its runners have in common.
struct Shared {
    ports: ReplyPorts,
    rules: ReplyRules,
    /// This process, as the owner of leases.
    owner: LeaseOwner,
    checkpointer: Checkpointer,
    admission: Admission,
    /// The replies whose tasks run in this process.
    in_hand: InHand,
    is_draining: AtomicBool,
    /// Where conversations without a title are told, if anywhere.
    untitled: OnceLock<mpsc::Sender<Untitled>>,
    /// Cancelled when running replies have to stop where they are.
    shutdown: CancellationToken,
    /// Counts the replies that are being written.
    running: TaskTracker,
}

/// A generation as its owner may see it.
pub type GenerationStatus = StoredGeneration;

impl ReplyService {
    pub fn new(ports: ReplyPorts, rules: ReplyRules) -> Self {
        let owner = LeaseOwner(ports.ids.id());
        let (turns, log) = (ports.turns.clone(), ports.log.clone());
        let checkpointer = Checkpointer::start(turns, log, ports.spawner.as_ref());
        let admission = Admission::new(rules.most_at_once);
        let shared = Shared {
            ports,
            rules,
            owner,
            checkpointer,
            admission,
            in_hand: InHand::default(),
            is_draining: AtomicBool::new(false),
            untitled: OnceLock::new(),
            shutdown: CancellationToken::new(),
            running: TaskTracker::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// From now on, each conversation that has no title when a reply is complete in it. Whoever reads
    /// them too slowly misses some. To be asked for once.
    pub fn untitled(&self) -> mpsc::Receiver<Untitled> {
        let (sender, untitled) = mpsc::channel(UNTITLED_AHEAD);
        let is_first = self.shared.untitled.set(sender).is_ok();
        debug_assert!(is_first, "somebody reads them already");
        untitled
    }
}

/// What the log lines of one reply have in common.
fn span(generation: &Generation) -> tracing::Span {
    tracing::info_span!(
        "reply",
        generation = %generation.id,
        conversation = %generation.conversation,
        user = %generation.owner
    )
}
