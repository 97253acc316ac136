//! Saving what is written so far, for all running replies together.

use std::sync::Arc;

use repartee_domain::GenerationId;
use tokio::sync::{mpsc, oneshot};

use crate::ports::{Checkpoint, GenerationLog, PortError, Spawner, TurnRepository};

/// How many replies may wait to be saved; a further one keeps its events and tries again.
const QUEUE: usize = 1024;
/// The most that one commit saves.
const BATCH: usize = 256;

/// Commits whatever is waiting in one transaction, so that a thousand replies cost a handful of
/// commits a second, not four thousand.
pub(super) struct Checkpointer {
    queue: mpsc::Sender<Waiting>,
}

type Saved = Result<(), CheckpointFailed>;

struct Waiting {
    checkpoint: Checkpoint,
    saved: oneshot::Sender<Saved>,
}

/// The events are not stored; whoever holds them tries again later. Why was logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CheckpointFailed;

/// Tells when the checkpoint is stored.
pub(super) type Receipt = oneshot::Receiver<Saved>;

impl Checkpointer {
    pub(super) fn start(
        turns: Arc<dyn TurnRepository>,
        log: Arc<dyn GenerationLog>,
        spawner: &dyn Spawner,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        spawner.spawn(Box::pin(run(turns, log, waiting)));
        Self { queue }
    }

    /// `Err` gives the checkpoint back: too many are waiting.
    pub(super) fn save(&self, checkpoint: Checkpoint) -> Result<Receipt, Checkpoint> {
        let (saved, receipt) = oneshot::channel();
        match self.queue.try_send(Waiting { checkpoint, saved }) {
            Ok(()) => Ok(receipt),
            Err(error) => Err(error.into_inner().checkpoint),
        }
    }
}

/// Runs until the service and its runners are gone.
async fn run(
    turns: Arc<dyn TurnRepository>,
    log: Arc<dyn GenerationLog>,
    mut queue: mpsc::Receiver<Waiting>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let (checkpoints, receipts): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|waiting| (waiting.checkpoint, waiting.saved)).unzip();
        let places: Vec<_> = checkpoints.iter().filter_map(place).collect();
        let saved = turns.checkpoint(checkpoints).await.map_err(|error: PortError| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "replies in progress were not saved; trying again"
            );
            CheckpointFailed
        });
        if saved.is_ok() {
            for (generation, seq) in places {
                log.stored(generation, seq);
            }
        }
        for receipt in receipts {
            // A runner that is gone needs no answer.
            let _ = receipt.send(saved);
        }
    }
}

/// How far a reply is stored with its checkpoint.
fn place(checkpoint: &Checkpoint) -> Option<(GenerationId, u64)> {
    checkpoint.events.last().map(|event| (event.generation, event.seq))
}
