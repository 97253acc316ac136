//! Replies: asking for one, reading it while it is written, stopping it.
//!
//! A reply belongs to the server, not to the connection that asked for it. `send` stores the
//! question and spawns a runner; the runner writes into the log and the database; subscribers
//! read the log. They meet nowhere else.

mod ask;
mod cancel;
mod checkpoints;
mod draft;
mod drain;
mod finish;
mod prompt;
mod runner;
mod send;
mod settle;
mod subscribe;
mod upkeep;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use chrono::TimeDelta;
use repartee_domain::replies::Generation;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::checkpoints::Checkpointer;
pub use self::send::{Begun, NewMessage};
use crate::{
    models::ModelCatalogue,
    ports::{
        Clock, ConversationRepository, EventEncoder, GenerationLog, IdGenerator, LeaseOwner,
        Spawner, StoredGeneration, TurnRepository,
    },
};

/// How long a process may be silent before its replies are settled by another.
const LEASE: TimeDelta = TimeDelta::seconds(15);

#[derive(Clone)]
pub struct ReplyService {
    shared: Arc<Shared>,
}

pub struct ReplyPorts {
    pub conversations: Arc<dyn ConversationRepository>,
    pub turns: Arc<dyn TurnRepository>,
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
    is_draining: AtomicBool,
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
        let checkpointer = Checkpointer::start(ports.turns.clone(), ports.spawner.as_ref());
        let shared = Shared {
            ports,
            rules,
            owner,
            checkpointer,
            is_draining: AtomicBool::new(false),
            shutdown: CancellationToken::new(),
            running: TaskTracker::new(),
        };
        Self { shared: Arc::new(shared) }
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
