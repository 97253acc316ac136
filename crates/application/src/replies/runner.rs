//! The writing of one reply, from asking a model to the last commit.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, stream};
use repartee_domain::replies::{Failure, FinishReason, Outcome, Turn, Usage};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};
use tracing::Instrument;

use super::{
    Begun, Shared,
    ask::{Answering, ask},
    draft::Draft,
};
use crate::{
    AppError,
    models::{Model, TimeLimits},
    ports::{ChatChunk, ChatRequest, ModelError, NewTurn, PortError, TurnBegun},
};

/// No two text events are closer than this: what a fast model sends in between becomes one.
const DELTA_GAP: Duration = Duration::from_millis(5);
/// What is written is stored at least this often; the commit itself takes the rest of 250 ms.
pub(super) const CHECKPOINT: Duration = Duration::from_millis(200);

/// No model has more to say; a broken one might never end.
const MOST_BYTES: usize = 4 << 20;

/// What there is to write.
pub(super) struct Job {
    /// What is stored when it begins.
    pub(super) turn: NewTurn,
    /// To be asked in this order. Never empty.
    pub(super) models: Vec<Model>,
    pub(super) turns: Vec<Turn>,
    pub(super) temperature: Option<f32>,
    pub(super) max_tokens: Option<u32>,
}

type Beginning = Result<Begun, AppError>;

/// What became of the writing.
pub(super) struct Written {
    pub(super) outcome: Outcome,
    /// The model that answered, or was asked last.
    pub(super) model: Option<Model>,
    pub(super) usage: Option<Usage>,
    pub(super) attempts: u32,
}

impl Job {
    pub(super) fn request(&self, model: &Model) -> ChatRequest {
        ChatRequest {
            model: model.upstream.clone(),
            turns: self.turns.clone(),
            temperature: self.temperature,
            max_tokens: match (self.max_tokens, model.max_output_tokens) {
                (Some(asked), Some(most)) => Some(asked.min(most)),
                (asked, most) => asked.or(most),
            },
        }
    }

    fn limits(&self) -> TimeLimits {
        self.models.first().map(|model| model.limits).unwrap_or_default()
    }
}

impl Shared {
    /// Begins the reply and writes it, in a task of its own; `begun` is told once the question
    /// is stored. Should the task panic, the reply is settled from what was stored of it.
    ///
    /// `running` was taken before it was looked whether the server is shutting down.
    pub(super) fn spawn_runner(
        self: &Arc<Self>,
        job: Job,
        running: TaskTrackerToken,
        begun: oneshot::Sender<Beginning>,
    ) {
        let shared = Arc::clone(self);
        let (generation, reply) = (job.turn.generation.clone(), job.turn.reply.clone());
        let span = super::span(&generation);
        let task = async move {
            let writing = AssertUnwindSafe(shared.run(job, begun)).catch_unwind();
            if writing.await.is_err() {
                tracing::error!("the task that wrote the reply panicked");
                shared.settle_own(generation, reply).await;
            }
            drop(running);
        };
        self.ports.spawner.spawn(Box::pin(task.instrument(span)));
    }

    async fn run(&self, job: Job, begun: oneshot::Sender<Beginning>) {
        let (mut draft, cancel) = match self.begin(&job.turn).await {
            Ok((draft, cancel, beginning)) => {
                // A caller that has gone away is not waited for.
                let _ = begun.send(Ok(beginning));
                (draft, cancel)
            }
            Err(error) => {
                // It may be stored all the same, where the connection was lost during the commit.
                let is_in_doubt = matches!(error, AppError::Port(PortError::Unavailable(_)));
                let _ = begun.send(Err(error));
                if is_in_doubt {
                    self.settle_own(job.turn.generation, job.turn.reply).await;
                }
                return;
            }
        };
        let written = self.write(&job, &cancel, &mut draft).await;
        self.finish(&job, draft, written).await;
    }

    /// Stores question, empty reply and generation, and opens the log with its first event.
    async fn begin(&self, turn: &NewTurn) -> Result<(Draft, CancellationToken, Begun), AppError> {
        match self.ports.turns.begin_turn(turn.clone()).await? {
            TurnBegun::Begun => {}
            TurnBegun::ReplyInProgress(running) => return Err(AppError::ReplyInProgress(running)),
            TurnBegun::ConversationClosed => return Err(AppError::CONVERSATION_NOT_FOUND),
        }
        let generation = turn.generation.clone();
        let cancel = self.ports.log.open(generation.id);
        let mut draft = Draft::new(generation.clone(), turn.reply.clone());
        draft.start(&self.ports);
        let events = self.ports.log.subscribe(generation.id, 0).await.ok().flatten();
        let events = events.unwrap_or_else(|| stream::empty().boxed());
        let question = turn.question.clone();
        Ok((draft, cancel, Begun { question, generation, events }))
    }

    /// Never fails: what goes wrong is an outcome.
    async fn write(&self, job: &Job, cancel: &CancellationToken, draft: &mut Draft) -> Written {
        let mut attempts = 0;
        let total = Instant::now() + job.limits().total;
        let mut stop = pin!(self.stopped(cancel, total));
        let asked = tokio::select! {
            biased;
            outcome = &mut stop => Err(outcome),
            asked = ask(self, job, draft, &mut attempts) => asked.map_err(Outcome::Failed),
        };
        let answering = match asked {
            Ok(answering) => answering,
            Err(outcome) => {
                let model = (attempts > 0).then(|| job.models.first().cloned()).flatten();
                return Written { outcome, model, usage: None, attempts };
            }
        };
        let mut writing = Writing::new(self, draft, &answering.model);
        let Answering { model, mut chunks, first } = answering;
        let mut next = Some(first);
        let outcome = loop {
            if let Some(outcome) = writing.take(next) {
                break outcome;
            }
            next = tokio::select! {
                biased;
                outcome = &mut stop => break outcome,
                next = chunks.next() => Some(next.unwrap_or_default()).filter(|n| !n.is_empty()),
                outcome = writing.wait() => match outcome {
                    Some(outcome) => break outcome,
                    None => Some(Vec::new()),
                },
            };
        };
        writing.flush();
        let usage = writing.usage;
        Written { outcome, model: Some(model), usage, attempts }
    }

    /// Resolves when the reply has to end from outside.
    async fn stopped(&self, cancel: &CancellationToken, total: Instant) -> Outcome {
        tokio::select! {
            biased;
            () = cancel.cancelled() => Outcome::Cancelled,
            () = self.shutdown.cancelled() => Outcome::Interrupted,
            () = sleep_until(total) => Outcome::Failed(Failure::TotalTimeout),
        }
    }
}

/// A model's answer on its way into the draft.
struct Writing<'a> {
    shared: &'a Shared,
    draft: &'a mut Draft,
    idle: Duration,
    /// Text that came too soon after the last event.
    held: String,
    last_event: Option<Instant>,
    last_chunk: Instant,
    checkpoint_due: Instant,
    finish_reason: Option<FinishReason>,
    usage: Option<Usage>,
}

impl<'a> Writing<'a> {
    fn new(shared: &'a Shared, draft: &'a mut Draft, model: &Model) -> Self {
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
    fn take(&mut self, chunks: Option<Vec<Result<ChatChunk, ModelError>>>) -> Option<Outcome> {
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
                Ok(ChatChunk::Queued { .. }) => {}
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
    fn flush(&mut self) {
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
    async fn wait(&mut self) -> Option<Outcome> {
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
