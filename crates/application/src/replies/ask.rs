//! Asking models until one begins to answer.

use std::{pin::pin, time::Duration};

use futures::{
    StreamExt,
    stream::{BoxStream, ReadyChunks},
};
use repartee_domain::replies::Failure;
use tokio::time::{sleep, timeout};

use super::{
    Shared,
    draft::Draft,
    runner::{CHECKPOINT, Job},
};
use crate::{
    models::Model,
    ports::{ChatChunk, ModelError},
};

/// What is ready at once is taken at once, and becomes one event.
const MOST_AT_ONCE: usize = 256;

pub(super) type Chunks = ReadyChunks<BoxStream<'static, Result<ChatChunk, ModelError>>>;

/// A model that has begun to answer.
pub(super) struct Answering {
    pub(super) model: Model,
    pub(super) chunks: Chunks,
    /// What came first: text, or an end without any.
    pub(super) first: Vec<Result<ChatChunk, ModelError>>,
}

/// How often models were asked, and which one was last.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) attempts: u32,
    pub(super) last: Option<Model>,
    /// Whether a provider has taken the prompt: it answers, or was asked and has not refused yet.
    pub(super) is_taken: bool,
}

enum Refusal {
    Error(ModelError),
    TimedOut,
}

/// Asks the models in order, each as often as its policy says. Only what happens before the
/// first piece of text is tried again: nobody gets the same text twice.
pub(super) async fn ask(
    shared: &Shared,
    job: &Job,
    draft: &mut Draft,
    asked: &mut Asked,
) -> Result<Answering, Failure> {
    // Where nobody is asked.
    let mut failure = Failure::ModelUnavailable;
    for model in &job.models {
        if !model.breaker.admit(shared.ports.clock.now()) {
            tracing::warn!(model = model.id, "not asked: too many turns of its provider failed");
            continue;
        }
        for attempt in 1.. {
            asked.attempts += 1;
            asked.last = Some(model.clone());
            asked.is_taken = true;
            let answer = once(shared, model, job, draft, &mut asked.is_taken).await;
            let refusal = match answer {
                Ok((chunks, first)) => {
                    model.breaker.answers();
                    return Ok(Answering { model: model.clone(), chunks, first });
                }
                Err(refusal) => refusal,
            };
            asked.is_taken = false;
            failure = refusal.failure();
            let wait = refusal.is_worth_another_try().then(|| {
                model.retry.wait_after(attempt, shared.ports.ids.fraction(), refusal.retry_after())
            });
            tracing::warn!(
                model = model.id,
                attempt,
                error = refusal.source(),
                retries = wait.flatten().is_some(),
                "the model did not answer: {failure}"
            );
            let Some(wait) = wait.flatten() else {
                // A refusal is an answer: the provider is there.
                let has_answered = failure == Failure::ModelRejected;
                model.breaker.record(has_answered, shared.ports.clock.now());
                break;
            };
            patiently(sleep(wait), shared, draft).await;
        }
    }
    Err(failure)
}

/// One attempt, up to the first piece of text.
async fn once(
    shared: &Shared,
    model: &Model,
    job: &Job,
    draft: &mut Draft,
    is_taken: &mut bool,
) -> Result<(Chunks, Vec<Result<ChatChunk, ModelError>>), Refusal> {
    let limit = model.limits.first_token;
    // Others' replies are no silence of this one's model: the total limit is enough for waiting.
    let mut is_queued = false;
    let asking = timeout(limit, model.provider.stream(job.request(model)));
    let asked = patiently(asking, shared, draft).await;
    let stream = asked.map_err(|_| Refusal::TimedOut)?.map_err(Refusal::Error)?;
    let mut chunks = stream.ready_chunks(MOST_AT_ONCE);
    loop {
        let next = if is_queued {
            patiently(chunks.next(), shared, draft).await
        } else {
            let waiting = timeout(limit, chunks.next());
            patiently(waiting, shared, draft).await.map_err(|_| Refusal::TimedOut)?
        };
        let Some(next) = next else {
            return Err(Refusal::Error(ModelError::Broken(
                "the answer ended before it began".into(),
            )));
        };
        let mut first = Vec::with_capacity(next.len());
        for chunk in next {
            match chunk {
                Ok(ChatChunk::Queued { position }) => {
                    is_queued = true;
                    *is_taken = false;
                    draft.queued(position, &shared.ports);
                }
                Err(error) if first.is_empty() => return Err(Refusal::Error(error)),
                chunk => first.push(chunk),
            }
        }
        if !first.is_empty() {
            *is_taken = true;
            return Ok((chunks, first));
        }
    }
}

/// Waits, and has what was told so far stored where that takes long.
pub(super) async fn patiently<T>(
    waiting: impl Future<Output = T>,
    shared: &Shared,
    draft: &mut Draft,
) -> T {
    let mut waiting = pin!(waiting);
    loop {
        let can_save = draft.has_unsaved() && !draft.is_saving();
        tokio::select! {
            biased;
            done = &mut waiting => return done,
            () = draft.saved() => {}
            () = sleep(CHECKPOINT), if can_save => draft.checkpoint(&shared.checkpointer),
        }
    }
}

impl Refusal {
    fn failure(&self) -> Failure {
        match self {
            Self::TimedOut => Failure::FirstTokenTimeout,
            Self::Error(ModelError::NotInstalled { .. }) => Failure::ModelUnavailable,
            Self::Error(ModelError::Rejected { .. }) => Failure::ModelRejected,
            Self::Error(_) => Failure::ModelFailed,
        }
    }

    fn is_worth_another_try(&self) -> bool {
        match self {
            Self::TimedOut => false,
            Self::Error(ModelError::Rejected { .. } | ModelError::NotInstalled { .. }) => false,
            Self::Error(_) => true,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Error(
                ModelError::Unavailable { retry_after, .. }
                | ModelError::RateLimited { retry_after },
            ) => *retry_after,
            _ => None,
        }
    }

    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Error(error) => Some(error),
            Self::TimedOut => None,
        }
    }
}
