//! Ending replies whose process went away.

use std::{sync::Arc, time::Duration};

use repartee_domain::{
    messages::Message,
    replies::{Generation, Outcome, Price, Turn, Usage, Written},
};
use tokio::time::sleep;

use super::{ReplyService, Shared};
use crate::{
    AppError,
    models::Model,
    ports::{
        Checkpoint, EventKind, FinishedTurn, HistoryFrom, LoggedEvent, Orphan, PortError,
        ReplyEvent,
    },
};

/// Replies settled at a time.
const BATCH: u32 = 100;
/// Between two tries while the database is away.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Whether a model may have been shown the prompt: only then it is charged.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    Perhaps,
    Nobody,
}

impl ReplyService {
    /// Ends the replies that nobody writes any more as interrupted, with the text that was
    /// stored of them. Gives how many.
    pub async fn settle(&self) -> Result<u32, PortError> {
        let mut settled = 0;
        loop {
            let now = self.shared.ports.clock.now();
            let orphans = self.shared.ports.turns.orphans(self.shared.owner, now, BATCH).await?;
            let is_last = orphans.len() < BATCH as usize;
            let before = settled;
            for orphan in orphans {
                let id = orphan.generation.id;
                // The database was away for so long that our own leases ran out.
                if self.shared.in_hand.holds(id) {
                    continue;
                }
                match self.shared.settle_orphan(orphan, Asked::Perhaps).await {
                    Ok(is_settled) => settled += u32::from(is_settled),
                    // Those behind it are settled all the same.
                    Err(error) => tracing::error!(
                        generation = %id,
                        error = &error as &dyn std::error::Error,
                        "an interrupted reply cannot be settled; trying again later"
                    ),
                }
            }
            if is_last || settled == before {
                return Ok(settled);
            }
        }
    }
}

impl Shared {
    /// Ends a reply of this process that no task writes any more, because its task panicked or
    /// could not know whether the beginning was stored. Tries until it is done.
    pub(super) async fn settle_own(&self, generation: Generation, reply: Message, asked: Asked) {
        loop {
            let settled = match self.ports.turns.orphan(generation.id).await {
                Ok(Some(orphan)) => self.settle_orphan(orphan, asked).await,
                // Over or gone: where readers wait all the same, this lets them go.
                Ok(None) => {
                    let text = String::new();
                    let orphan = Orphan {
                        generation: generation.clone(),
                        reply: reply.clone(),
                        text,
                        last_seq: 0,
                        reserved: None,
                    };
                    self.settle_orphan(orphan, asked).await
                }
                Err(error) => Err(error),
            };
            match settled {
                Ok(true) => return,
                // A checkpoint was still on its way.
                Ok(false) => continue,
                Err(error) => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a reply that nobody writes cannot be settled; trying again"
                ),
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = sleep(TRY_AGAIN) => {}
            }
        }
    }

    /// `false` when somebody writes it after all.
    async fn settle_orphan(&self, orphan: Orphan, asked: Asked) -> Result<bool, PortError> {
        let Orphan { generation, reply, mut text, last_seq: stored_to, .. } = orphan;
        let unsaved = self.unsaved(&generation, stored_to).await;
        if let Some(unsaved) = &unsaved {
            text.push_str(&unsaved.text);
        }
        let last_seq = match &unsaved {
            Some(unsaved) => unsaved.events.last().map_or(stored_to, |event| event.seq),
            None => stored_to,
        };
        let name = Some(generation.model.as_str()).filter(|name| !name.is_empty());
        let models = self.ports.models.resolve(name).await.unwrap_or_default();
        let usage = match asked {
            Asked::Perhaps => self.usage_of(&generation, &models, &text).await,
            Asked::Nobody => Usage { estimated: true, ..Usage::default() },
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
        let event = ReplyEvent::Ended {
            outcome: ended.outcome,
            reply: &ended.reply,
            attempts: ended.attempts,
        };
        let data = self.ports.encoder.encode(&event);
        let terminal = Arc::new(LoggedEvent::new(id, last_seq + 1, EventKind::Interrupted, data));
        tracing::warn!(generation = %id, "settling a reply that was interrupted");
        let turn = FinishedTurn { ended, unsaved, terminal };
        let stored = match self.ports.turns.settle_turn(turn.clone(), stored_to).await {
            Ok(false) => return Ok(false),
            Ok(true) => Ok(()),
            Err(error) => Err(error),
        };
        self.tell_end(&turn, stored).await.map(|()| true)
    }

    /// What the log has of a reply beyond what was stored of it.
    async fn unsaved(&self, generation: &Generation, last_seq: u64) -> Option<Checkpoint> {
        let events = match self.ports.log.left_behind(generation.id, last_seq).await {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the log cannot be read: settling from what is stored"
                );
                return None;
            }
        };
        let texts = events.iter().filter(|event| event.kind == EventKind::Delta);
        let text = texts.filter_map(|event| self.ports.encoder.delta_text(&event.data)).collect();
        (!events.is_empty()).then_some(Checkpoint { generation: generation.id, events, text })
    }

    /// Counts what the provider could not: the prompt as it was asked, and what was written.
    async fn usage_of(&self, generation: &Generation, models: &[Model], text: &str) -> Usage {
        let Some(model) = models.first() else {
            return Usage { estimated: true, ..Usage::default() };
        };
        let prompt = match self.prompt_of(generation, models).await {
            Ok(prompt) => prompt,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the prompt of an interrupted reply is not counted"
                );
                Vec::new()
            }
        };
        let mut texts: Vec<_> = prompt.into_iter().map(|turn| turn.content).collect();
        texts.push(text.to_owned());
        model.count(texts).await
    }

    async fn prompt_of(
        &self,
        generation: &Generation,
        models: &[Model],
    ) -> Result<Vec<Turn>, AppError> {
        let Generation { owner, conversation, user_message, .. } = *generation;
        let conversation = self.ports.conversations.find(owner, conversation.into()).await?;
        let question = self.ports.messages.find(owner, user_message).await?;
        let (Some(conversation), Some(question)) = (conversation, question) else {
            return Ok(Vec::new());
        };
        let past = Some(HistoryFrom::Before(question.id));
        Ok(self.prompt(&conversation, &question.content, past, models).await?.turns)
    }
}
