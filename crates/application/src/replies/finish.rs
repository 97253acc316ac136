//! The end of a reply: settled, stored, and only then told.

use std::{sync::Arc, time::Duration};

use repartee_domain::{
    messages::MessageRole,
    replies::{Ended, Generation, Outcome, Price, Usage, Written as Reply},
};
use tokio::time::sleep;

use super::{
    Shared,
    draft::Draft,
    runner::{Job, Written},
};
use crate::{
    models::Model,
    ports::{FinishedTurn, LoggedEvent, PortError, ReplyEvent},
    titles::Untitled,
};

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl Shared {
    /// Stores the reply, however long the database is away, and then tells its subscribers: what
    /// a client was told is never lost.
    pub(super) async fn finish(&self, job: &Job, mut draft: Draft, written: Written) {
        let usage = match (written.usage, &written.model) {
            (Some(usage), _) => usage,
            (None, Some(model)) if written.is_taken => estimate(model, job, &draft.text).await,
            // Nobody has anything to bill.
            (None, _) => Usage { estimated: true, ..Usage::default() },
        };
        let writes_titles = written.model.as_ref().is_some_and(|model| model.writes_titles);
        let unsaved = draft.take_unsaved().await;
        let written_reply = Reply {
            text: std::mem::take(&mut draft.text),
            model: match &written.model {
                Some(model) => model.id.clone(),
                None => draft.generation.model.clone(),
            },
            usage,
            price: written.model.map_or_else(Price::default, |model| model.price),
            first_token_at: draft.first_token_at,
            attempts: written.attempts,
        };
        let now = self.ports.clock.now();
        let ended =
            draft.generation.clone().end(draft.reply.clone(), written.outcome, written_reply, now);
        let event = ReplyEvent::Ended {
            outcome: ended.outcome,
            reply: &ended.reply,
            attempts: ended.attempts,
        };
        let terminal = draft.next_event(&event, &self.ports);
        let untitled = untitled(job, &ended, writes_titles);
        self.store(FinishedTurn { ended, unsaved, terminal }).await;
        if let (Some(untitled), Some(titles)) = (untitled, self.untitled.get()) {
            // Where too many wait, the next reply tells of it again.
            let _ = titles.try_send(untitled);
        }
    }

    /// Tries until it is stored.
    async fn store(&self, turn: FinishedTurn) {
        let mut wait = FIRST_WAIT;
        loop {
            let stored = self.ports.turns.finish_turn(turn.clone()).await;
            let Err(error) = self.tell_end(&turn, stored).await else { return };
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a finished reply cannot be stored; trying again"
            );
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Tells the readers of a reply the end that was stored. Where somebody else has ended it,
    /// their end is what happened.
    pub(super) async fn tell_end(
        &self,
        turn: &FinishedTurn,
        stored: Result<(), PortError>,
    ) -> Result<(), PortError> {
        let told = match stored {
            Ok(()) => Arc::clone(&turn.terminal),
            Err(PortError::Stale) => self.stored_end(turn).await?,
            Err(error) => return Err(error),
        };
        tracing::info!(
            outcome = told.kind.as_str(),
            attempts = turn.ended.attempts,
            events = told.seq,
            "reply ended"
        );
        self.ports.log.append(told);
        Ok(())
    }

    /// The end that somebody else stored. Where the reply was deleted there is none, and our own
    /// lets the readers go.
    async fn stored_end(&self, turn: &FinishedTurn) -> Result<Arc<LoggedEvent>, PortError> {
        let Generation { id, owner, .. } = turn.ended.generation;
        let terminal = match self.ports.turns.find(owner, id).await? {
            Some(stored) => self.end_of(&stored).await?,
            None => None,
        };
        tracing::warn!(is_deleted = terminal.is_none(), "the reply was ended by somebody else");
        Ok(terminal.map_or_else(|| Arc::clone(&turn.terminal), Arc::new))
    }
}

/// What a title is made of, where one is to be: the first question that its model was shown, and the
/// reply.
fn untitled(job: &Job, ended: &Ended, writes_titles: bool) -> Option<Untitled> {
    let actor = job.untitled.clone()?;
    let Outcome::Completed(_) = ended.outcome else { return None };
    let question = job.turns.iter().find(|turn| turn.role == MessageRole::User)?;
    Some(Untitled {
        actor,
        conversation: ended.reply.conversation,
        model: ended.reply.writing.as_ref().map(|w| w.model.clone()).filter(|_| writes_titles),
        question: Untitled::excerpt(&question.content),
        reply: Untitled::excerpt(&ended.reply.content),
    })
}

/// Counts what the provider did not: the prompt and what was written of the reply.
async fn estimate(model: &Model, job: &Job, text: &str) -> Usage {
    let mut texts: Vec<_> = job.turns.iter().map(|turn| turn.content.clone()).collect();
    texts.push(text.to_owned());
    model.count(texts).await
}
