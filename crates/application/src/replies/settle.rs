//! Ending replies whose process went away.

use std::{sync::Arc, time::Duration};

use repartee_domain::{
    messages::Message,
    replies::{Generation, Outcome, Price, Usage, Written},
};
use tokio::time::sleep;

use super::{ReplyService, Shared};
use crate::ports::{EventKind, FinishedTurn, LoggedEvent, Orphan, PortError, ReplyEvent};

/// Replies settled at a time.
const BATCH: u32 = 100;
/// Between two tries while the database is away.
const TRY_AGAIN: Duration = Duration::from_secs(1);

impl ReplyService {
    /// Ends the replies that nobody writes any more as interrupted, with the text that was
    /// stored of them. Gives how many.
    pub async fn settle(&self) -> Result<u32, PortError> {
        let mut settled = 0;
        loop {
            let now = self.shared.ports.clock.now();
            let orphans = self.shared.ports.turns.orphans(self.shared.owner, now, BATCH).await?;
            let count = u32::try_from(orphans.len()).unwrap_or(BATCH);
            for orphan in orphans {
                self.shared.settle_orphan(orphan).await?;
            }
            settled += count;
            if count < BATCH {
                return Ok(settled);
            }
        }
    }
}

impl Shared {
    /// Ends a reply of this process that no task writes any more, because its task panicked or
    /// could not know whether the beginning was stored. Tries until it is done.
    pub(super) async fn settle_own(&self, generation: Generation, reply: Message) {
        loop {
            let settled = match self.ports.turns.orphan(generation.id).await {
                Ok(Some(orphan)) => self.settle_orphan(orphan).await,
                // Over or gone: where readers wait all the same, this lets them go.
                Ok(None) => {
                    let text = String::new();
                    let orphan = Orphan {
                        generation: generation.clone(),
                        reply: reply.clone(),
                        text,
                        last_seq: 0,
                    };
                    self.settle_orphan(orphan).await
                }
                Err(error) => Err(error),
            };
            let Err(error) = settled else { return };
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a reply that nobody writes cannot be settled; trying again"
            );
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = sleep(TRY_AGAIN) => {}
            }
        }
    }

    async fn settle_orphan(&self, orphan: Orphan) -> Result<(), PortError> {
        let Orphan { generation, reply, text, last_seq } = orphan;
        let asked = Some(generation.model.as_str()).filter(|name| !name.is_empty());
        let models = self.ports.models.resolve(asked).await.unwrap_or_default();
        let usage = match models.first() {
            Some(model) => self.count(model, vec![text.clone()]).await,
            None => Usage { estimated: true, ..Usage::default() },
        };
        let written = Written {
            text,
            model: generation.model.clone(),
            usage,
            price: models.first().map_or_else(Price::default, |model| model.price),
            first_token_at: None,
            attempts: 1,
        };
        let id = generation.id;
        let ended = generation.end(reply, Outcome::Interrupted, written, self.ports.clock.now());
        let event = ReplyEvent::Ended { outcome: ended.outcome, reply: &ended.reply };
        let data = self.ports.encoder.encode(&event);
        let terminal = Arc::new(LoggedEvent::new(id, last_seq + 1, EventKind::Interrupted, data));
        tracing::warn!(generation = %id, "settling a reply that was interrupted");
        self.try_store(&FinishedTurn { ended, unsaved: None, terminal }).await
    }
}
