//! What comes of a model's answer: events, not too many, and checkpoints, not too few.

use std::time::Duration;

use repartee_domain::replies::{Failure, FinishReason, Outcome, Usage};
use tokio::time::{Instant, sleep_until};

use super::{Shared, draft::Draft};
use crate::{
    models::Model,
    ports::{ChatChunk, ModelError},
};

/// No two text events are closer than this: what a fast model sends in between becomes one.
const DELTA_GAP: Duration = Duration::from_millis(5);
/// What is written is stored at least this often; the commit itself takes the rest of 250 ms.
pub(super) const CHECKPOINT: Duration = Duration::from_millis(200);

/// No model has more to say; a broken one might never end.
const MOST_BYTES: usize = 4 << 20;

/// A model's answer on its way into the draft.
pub(super) struct Writing<'a> {
    shared: &'a Shared,
    draft: &'a mut Draft,
    idle: Duration,
    /// Text that came too soon after the last event.
    held: String,
    last_event: Option<Instant>,
    last_chunk: Instant,
    checkpoint_due: Instant,
    finish_reason: Option<FinishReason>,
    pub(super) usage: Option<Usage>,
}

impl<'a> Writing<'a> {
    pub(super) fn new(shared: &'a Shared, draft: &'a mut Draft, model: &Model) -> Self {
        let now = Instant::now();
        Self {
            shared,
            draft,
            idle: model.limits.idle,
            held: String::new(),
            last_event: None,
            last_chunk: now,
            checkpoint_due: now + CHECKPOINT,
            finish_reason: None,
            usage: None,
        }
    }

    /// Takes what came at once. `None` in means that the answer is over; an outcome out, that
    /// the writing is.
    pub(super) fn take(
        &mut self,
        chunks: Option<Vec<Result<ChatChunk, ModelError>>>,
    ) -> Option<Outcome> {
        let now = Instant::now();
        let Some(chunks) = chunks else { return Some(self.over(None)) };
        if !chunks.is_empty() {
            self.last_chunk = now;
        }
        for chunk in chunks {
            match chunk {
                Ok(ChatChunk::Text(text)) => {
                    self.held.push_str(&text);
                    if self.draft.text.len() + self.held.len() > MOST_BYTES {
                        return Some(Outcome::Completed(FinishReason::Length));
                    }
                }
                Ok(ChatChunk::Finished(reason)) => self.finish_reason = Some(reason),
                Ok(ChatChunk::Usage { prompt_tokens, completion_tokens }) => {
                    self.usage = Some(Usage { prompt_tokens, completion_tokens, estimated: false });
                }
                Ok(ChatChunk::Queued { .. } | ChatChunk::Fields(_)) => {}
                Err(error) => return Some(self.over(Some(error))),
            }
        }
        if self.last_event.is_none_or(|last| now >= last + DELTA_GAP) {
            self.flush();
        }
        if now >= self.checkpoint_due && self.draft.has_unsaved() {
            self.draft.checkpoint(&self.shared.checkpointer);
            self.checkpoint_due = now + CHECKPOINT;
        }
        None
    }

    /// Writes the held text as an event.
    pub(super) fn flush(&mut self) {
        if self.held.is_empty() {
            return;
        }
        if !self.draft.has_unsaved() {
            self.checkpoint_due = Instant::now() + CHECKPOINT;
        }
        self.draft.write(&self.held, &self.shared.ports);
        self.held.clear();
        self.last_event = Some(Instant::now());
    }

    /// Waits until there is something to do although nothing came; an outcome when the model has
    /// been silent for too long. Cancel-safe.
    pub(super) async fn wait(&mut self) -> Option<Outcome> {
        let silent = self.last_chunk + self.idle;
        let flush = self.last_event.filter(|_| !self.held.is_empty()).map(|at| at + DELTA_GAP);
        let can_save = self.draft.has_unsaved() && !self.draft.is_saving();
        let save = can_save.then_some(self.checkpoint_due);
        let due = [Some(silent), flush, save].into_iter().flatten().min().unwrap_or(silent);
        tokio::select! {
            () = sleep_until(due) => {}
            () = self.draft.saved() => {}
        }
        let is_silent = Instant::now() >= silent;
        is_silent.then_some(match self.finish_reason {
            // All of the answer is there; what stays away is the end of the connection.
            Some(reason) => Outcome::Completed(reason),
            None => Outcome::Failed(Failure::IdleTimeout),
        })
    }

    fn over(&self, error: Option<ModelError>) -> Outcome {
        match (self.finish_reason, error) {
            (Some(reason), _) => Outcome::Completed(reason),
            (None, error) => {
                let source =
                    error.as_ref().map(|error| error as &(dyn std::error::Error + 'static));
                tracing::warn!(error = source, "the model's answer broke off");
                Outcome::Failed(Failure::ModelFailed)
            }
        }
    }
}
