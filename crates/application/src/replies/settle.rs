//! Ending replies whose process went away.

use std::sync::Arc;

use repartee_domain::{
    GenerationId,
    replies::{Outcome, Price, Written},
};

use super::{ReplyService, Shared, finish::asked_model};
use crate::ports::{EventKind, FinishedTurn, LoggedEvent, Orphan, PortError, ReplyEvent};

/// Replies settled at a time.
const BATCH: u32 = 100;

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
                self.shared.settle_orphan(orphan).await;
            }
            settled += count;
            if count < BATCH {
                return Ok(settled);
            }
        }
    }
}

impl Shared {
    /// Ends a reply of this process whose task panicked.
    pub(super) async fn settle_own(&self, generation: GenerationId) {
        match self.ports.turns.orphan(generation).await {
            Ok(Some(orphan)) => self.settle_orphan(orphan).await,
            Ok(None) => {}
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "the reply stays open until its lease runs out"
            ),
        }
    }

    async fn settle_orphan(&self, orphan: Orphan) {
        let Orphan { generation, reply, text, last_seq } = orphan;
        let models = self.ports.models.resolve(asked_model(&generation)).await.unwrap_or_default();
        let usage = match models.first() {
            Some(model) => self.count(model, vec![text.clone()]).await,
            None => repartee_domain::replies::Usage { estimated: true, ..Default::default() },
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
        tracing::warn!(generation = %id, "a reply was interrupted: settling it");
        self.store(FinishedTurn { ended, unsaved: None, terminal }).await;
    }
}
