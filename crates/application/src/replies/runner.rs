//! The writing of one reply, from asking a model to the last commit.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt};
use repartee_domain::{
    limits::Month,
    replies::{Failure, Generation, Outcome, Turn, Usage},
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};
use tracing::Instrument;

use super::{
    Begun, Shared,
    admission::Place,
    draft::Draft,
    settle,
    subscribe::follow,
    writer::{Writer, patiently},
    writing::Writing,
};
use crate::{
    Actor, AppError,
    asking::{Answering, AskPorts, Asked, ask},
    conversations::why_closed,
    models::{Model, TimeLimits},
    ports::{ChatRequest, NewTurn, PortError, TurnBegun, UsedKey},
};

/// When one of a user's replies may have ended.
const RETRY_AFTER_A_REPLY: Duration = Duration::from_secs(5);
/// Who waits for others is told no more often than this how many they are.
const QUEUED_GAP: Duration = Duration::from_secs(1);

/// What there is to write.
pub(super) struct Job {
    /// What is stored when it begins.
    pub(super) turn: NewTurn,
    /// To be asked in this order. Never empty.
    pub(super) models: Vec<Model>,
    pub(super) turns: Vec<Turn>,
    pub(super) temperature: Option<f32>,
    pub(super) max_tokens: Option<u32>,
    /// Who asked, where the conversation is to have a title and has none.
    pub(super) untitled: Option<Actor>,
}

type Beginning = Result<Begun, Refused>;

/// Why a reply was not begun.
#[derive(Debug)]
pub(super) enum Refused {
    App(AppError),
    /// The same request had begun it.
    KeyUsed(UsedKey),
    /// More has been said than its prompt shows.
    Outdated,
}

impl<E: Into<AppError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::App(error.into())
    }
}

/// A reply that is stored as begun.
struct Opened {
    draft: Draft,
    cancel: CancellationToken,
    beginning: Begun,
    /// What was reserved for prompt and reply, where that is limited.
    tokens: u64,
}

/// What became of the writing.
pub(super) struct Written {
    pub(super) outcome: Outcome,
    /// The model that answered, or was asked last.
    pub(super) model: Option<Model>,
    pub(super) usage: Option<Usage>,
    /// Whether a provider has taken the prompt, or may have.
    pub(super) is_taken: bool,
    pub(super) attempts: u32,
}

impl Job {
    pub(super) fn request(&self, model: &Model) -> ChatRequest {
        ChatRequest {
            model: model.upstream.clone(),
            turns: self.turns.clone(),
            temperature: self.temperature,
            max_tokens: model.max_tokens(self.max_tokens),
            passed: None,
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
        let held = self.in_hand.hold(generation.id);
        let task = async move {
            let writing = AssertUnwindSafe(shared.run(job, begun)).catch_unwind();
            if writing.await.is_err() {
                tracing::error!("the task that wrote the reply panicked");
                shared.settle_own(generation, reply, settle::Asked::Perhaps).await;
            }
            drop((held, running));
        };
        self.ports.spawner.spawn(Box::pin(task.instrument(span)));
    }

    async fn run(self: &Arc<Self>, mut job: Job, begun: oneshot::Sender<Beginning>) {
        let (mut draft, cancel) = match self.begin(&job.turn).await {
            Ok(Opened { draft, cancel, beginning, tokens }) => {
                // A caller that has gone away is not waited for.
                let _ = begun.send(Ok(beginning));
                job.keep_within(tokens);
                (draft, cancel)
            }
            Err(error) => {
                // It may be stored all the same; where that shows later, its lease runs out.
                let is_in_doubt =
                    matches!(error, Refused::App(AppError::Port(PortError::Unavailable(_))));
                let _ = begun.send(Err(error));
                if is_in_doubt {
                    let NewTurn { generation, reply, .. } = job.turn;
                    self.settle_own(generation, reply, settle::Asked::Nobody).await;
                }
                return;
            }
        };
        let written = self.write(&job, &cancel, &mut draft).await;
        self.finish(&job, draft, written).await;
    }

    /// Stores question, empty reply and generation, and opens the log with its first event.
    async fn begin(self: &Arc<Self>, turn: &NewTurn) -> Result<Opened, Refused> {
        let began = match self.ports.turns.begin_turn(turn.clone()).await {
            // The connection was lost, perhaps after the commit: then it goes on.
            Err(PortError::Unavailable(error)) => {
                match self.ports.turns.orphan(turn.generation.id).await {
                    Ok(Some(stored)) => begun_with(turn, stored.reserved),
                    Ok(None) | Err(_) => return Err(PortError::Unavailable(error).into()),
                }
            }
            began => began?,
        };
        let tokens = match began {
            TurnBegun::Begun => turn.budget.most(),
            TurnBegun::BegunWithin { tokens } => tokens,
            TurnBegun::OverBudget => {
                let now = self.ports.clock.now();
                let retry_after = Month::of(now).left(now);
                return Err(AppError::BudgetExceeded { retry_after }.into());
            }
            TurnBegun::ReplyInProgress(running) => {
                return Err(AppError::ReplyInProgress(running).into());
            }
            TurnBegun::ConversationClosed => {
                let Generation { owner, conversation, .. } = turn.generation;
                let closed = why_closed(&*self.ports.conversations, owner, conversation).await;
                return Err(closed.into());
            }
            TurnBegun::KeyUsed(used) => return Err(Refused::KeyUsed(used)),
            TurnBegun::Outdated => return Err(Refused::Outdated),
            TurnBegun::TooManyRunning => {
                return Err(
                    AppError::TooManyGenerations { retry_after: RETRY_AFTER_A_REPLY }.into()
                );
            }
        };
        let generation = turn.generation.clone();
        let cancel = self.ports.log.open(generation.id);
        let mut draft = Draft::new(generation.clone(), turn.reply.clone());
        draft.start(&self.ports);
        let events = follow(Arc::clone(self), generation.owner, generation.id, 0);
        let question = turn.question.message().clone();
        Ok(Opened { draft, cancel, beginning: Begun { question, generation, events }, tokens })
    }

    /// Never fails: what goes wrong is an outcome.
    async fn write(&self, job: &Job, cancel: &CancellationToken, draft: &mut Draft) -> Written {
        let mut asked = Asked::default();
        // Held until the reply is written.
        let mut place = self.admission.enter(job.turn.generation.owner);
        let waited = tokio::select! {
            biased;
            outcome = self.stopped(cancel, None) => Err(outcome),
            () = self.wait_for_turn(&mut place, draft) => Ok(()),
        };
        if let Err(outcome) = waited {
            return Written { outcome, model: None, usage: None, is_taken: false, attempts: 0 };
        }
        let total = Instant::now() + job.limits().total;
        let mut stop = pin!(self.stopped(cancel, Some(total)));
        let answered = tokio::select! {
            biased;
            outcome = &mut stop => {
                if let Some(model) = &asked.last {
                    model.breaker.abandoned(self.ports.clock.now());
                }
                Err(outcome)
            }
            answered = self.ask(job, draft, &mut asked) => answered.map_err(Outcome::Failed),
        };
        let Asked { attempts, last, is_taken } = asked;
        let answering = match answered {
            Ok(answering) => answering,
            Err(outcome) => {
                return Written { outcome, model: last, usage: None, is_taken, attempts };
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
        // Stopping a reply says nothing against who was writing it.
        let has_answered = !matches!(outcome, Outcome::Failed(_));
        model.breaker.record(has_answered, self.ports.clock.now());
        Written { outcome, model: Some(model), usage, is_taken, attempts }
    }

    async fn ask(
        &self,
        job: &Job,
        draft: &mut Draft,
        asked: &mut Asked,
    ) -> Result<Answering, Failure> {
        let ports = AskPorts { clock: &*self.ports.clock, ids: &*self.ports.ids };
        let mut writer = Writer { shared: self, job, draft };
        let answered = ask(ports, &job.models, &mut writer, asked).await;
        answered.map_err(|unanswered| unanswered.failure)
    }

    /// Returns when the reply may be written. Others go first, in fair order, where too many are
    /// being written.
    async fn wait_for_turn(&self, place: &mut Place, draft: &mut Draft) {
        while let Some(position) = place.position() {
            draft.queued(position, &self.ports);
            let told = Instant::now();
            let moved = async {
                place.moved().await;
                tokio::select! {
                    () = place.admitted() => {}
                    () = sleep_until(told + QUEUED_GAP) => {}
                }
            };
            patiently(moved, self, draft).await;
        }
    }

    /// Resolves when the reply has to end from outside.
    async fn stopped(&self, cancel: &CancellationToken, total: Option<Instant>) -> Outcome {
        tokio::select! {
            biased;
            () = cancel.cancelled() => Outcome::Cancelled,
            () = self.shutdown.cancelled() => Outcome::Interrupted,
            () = until(total) => Outcome::Failed(Failure::TotalTimeout),
        }
    }
}

/// How a turn began that is stored with so many tokens.
fn begun_with(turn: &NewTurn, reserved: Option<u64>) -> TurnBegun {
    match reserved {
        Some(tokens) if tokens < turn.budget.most() => TurnBegun::BegunWithin { tokens },
        _ => TurnBegun::Begun,
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
