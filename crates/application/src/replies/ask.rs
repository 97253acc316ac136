//! Asking models until one begins to answer.

use std::time::Duration;

use futures::{
    StreamExt,
    stream::{BoxStream, ReadyChunks},
};
use repartee_domain::replies::Failure;
use tokio::time::{sleep, timeout};

use super::{ReplyPorts, draft::Draft, runner::Job};
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

enum Refusal {
    Error(ModelError),
    TimedOut,
}

/// Asks the models in order, each as often as its policy says. Only what happens before the
/// first piece of text is tried again: nobody gets the same text twice.
pub(super) async fn ask(
    job: &Job,
    draft: &mut Draft,
    attempts: &mut u32,
    ports: &ReplyPorts,
) -> Result<Answering, Failure> {
    let mut failure = Failure::ModelUnavailable;
    for model in &job.models {
        for attempt in 1.. {
            *attempts += 1;
            let answer = once(model, job, draft, ports).await;
            let refusal = match answer {
                Ok((chunks, first)) => {
                    return Ok(Answering { model: model.clone(), chunks, first });
                }
                Err(refusal) => refusal,
            };
            failure = refusal.failure();
            let wait = refusal.is_worth_another_try().then(|| {
                model.retry.wait_after(attempt, ports.ids.fraction(), refusal.retry_after())
            });
            tracing::warn!(
                model = model.id,
                attempt,
                error = refusal.source(),
                retries = wait.flatten().is_some(),
                "the model did not answer: {failure}"
            );
            match wait.flatten() {
                Some(wait) => sleep(wait).await,
                None => break,
            }
        }
    }
    Err(failure)
}

/// One attempt, up to the first piece of text.
async fn once(
    model: &Model,
    job: &Job,
    draft: &mut Draft,
    ports: &ReplyPorts,
) -> Result<(Chunks, Vec<Result<ChatChunk, ModelError>>), Refusal> {
    let limit = model.limits.first_token;
    // Others' replies are no silence of this one's model: the total limit is enough for waiting.
    let mut is_queued = false;
    let asked = timeout(limit, model.provider.stream(job.request(model))).await;
    let stream = asked.map_err(|_| Refusal::TimedOut)?.map_err(Refusal::Error)?;
    let mut chunks = stream.ready_chunks(MOST_AT_ONCE);
    loop {
        let next = if is_queued {
            chunks.next().await
        } else {
            timeout(limit, chunks.next()).await.map_err(|_| Refusal::TimedOut)?
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
                    draft.queued(position, ports);
                }
                Err(error) if first.is_empty() => return Err(Refusal::Error(error)),
                chunk => first.push(chunk),
            }
        }
        if !first.is_empty() {
            return Ok((chunks, first));
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
