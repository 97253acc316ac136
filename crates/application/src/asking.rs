//! Asking models until one begins to answer: for replies, and for completions.

use std::{convert::Infallible, time::Duration};

use async_trait::async_trait;
use futures::{
    StreamExt,
    stream::{BoxStream, ReadyChunks},
};
use repartee_domain::replies::Failure;
use tokio::time::{sleep, timeout};

use crate::{
    models::Model,
    ports::{ChatChunk, ChatRequest, Clock, IdGenerator, ModelError},
};

/// What is ready at once is taken at once, and becomes one event.
const MOST_AT_ONCE: usize = 256;

pub(crate) type Chunks = ReadyChunks<BoxStream<'static, Result<ChatChunk, ModelError>>>;

/// Who asks, and what they do meanwhile.
#[async_trait]
pub(crate) trait Asker: Send {
    /// What this model is asked.
    fn request(&self, model: &Model) -> ChatRequest;

    /// Others are served first.
    fn queued(&mut self, position: u32);

    /// Does what has to be done while a model is waited for: for ever, and dropped anywhere.
    async fn meanwhile(&mut self) -> Infallible;
}

/// One way of asking a model.
#[async_trait]
pub(crate) trait Attempt: Send {
    type Answer: Send;

    /// Asks once. `is_taken` says whether the model may have the prompt.
    async fn once(&mut self, model: &Model, is_taken: &mut bool) -> Result<Self::Answer, Refusal>;

    /// As [`Asker::meanwhile`].
    async fn meanwhile(&mut self) -> Infallible;
}

/// Asks for an answer that comes in pieces.
pub(crate) struct Streamed<'a>(pub(crate) &'a mut dyn Asker);

/// What asking needs of the outside world.
#[derive(Clone, Copy)]
pub(crate) struct AskPorts<'a> {
    pub(crate) clock: &'a dyn Clock,
    pub(crate) ids: &'a (dyn IdGenerator + 'static),
}

/// A model that has begun to answer.
pub(crate) struct Answering {
    pub(crate) model: Model,
    pub(crate) chunks: Chunks,
    /// What came first: text, or an end without any.
    pub(crate) first: Vec<Result<ChatChunk, ModelError>>,
}

/// How often models were asked, and which one was last.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) attempts: u32,
    pub(crate) last: Option<Model>,
    /// Whether a provider has taken the prompt: it answers, or was asked and has not refused yet.
    pub(crate) is_taken: bool,
}

/// Why nobody answers.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) failure: Failure,
    /// What the model said that was asked last; `None` where none was, or it said nothing.
    pub(crate) error: Option<ModelError>,
}

pub(crate) enum Refusal {
    Error(ModelError),
    TimedOut,
}

/// Asks the models in order, each as often as its policy says. Only what happens before the
/// first piece of text is tried again: nobody gets the same text twice.
pub(crate) async fn ask(
    ports: AskPorts<'_>,
    models: &[Model],
    asker: &mut dyn Asker,
    asked: &mut Asked,
) -> Result<Answering, Unanswered> {
    let (model, (chunks, first)) = try_models(ports, models, &mut Streamed(asker), asked).await?;
    Ok(Answering { model, chunks, first })
}

/// As [`ask`], in whichever way.
pub(crate) async fn try_models<A: Attempt>(
    ports: AskPorts<'_>,
    models: &[Model],
    attempts: &mut A,
    asked: &mut Asked,
) -> Result<(Model, A::Answer), Unanswered> {
    // Where nobody is asked.
    let mut unanswered = Unanswered { failure: Failure::ModelUnavailable, error: None };
    for model in models {
        if !model.breaker.admit(ports.clock.now()) {
            tracing::warn!(model = model.id, "not asked: too many turns of its provider failed");
            continue;
        }
        for attempt in 1.. {
            asked.attempts += 1;
            asked.last = Some(model.clone());
            asked.is_taken = true;
            let answer = attempts.once(model, &mut asked.is_taken).await;
            let refusal = match answer {
                Ok(answer) => {
                    model.breaker.answers();
                    return Ok((model.clone(), answer));
                }
                Err(refusal) => refusal,
            };
            asked.is_taken = false;
            let failure = refusal.failure();
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
            let error = refusal.into_error();
            // What a fallback does not support is no reason: without its trouble the first would
            // have answered.
            if !matches!(error, Some(ModelError::Unsupported { .. })) || asked.attempts == 1 {
                unanswered = Unanswered { failure, error };
            }
            let Some(wait) = wait.flatten() else {
                // A refusal is an answer: the provider is there.
                let has_answered = failure == Failure::ModelRejected;
                model.breaker.record(has_answered, ports.clock.now());
                break;
            };
            tokio::select! {
                biased;
                () = sleep(wait) => {}
                never = attempts.meanwhile() => match never {},
            }
        }
    }
    Err(unanswered)
}

#[async_trait]
impl Attempt for Streamed<'_> {
    type Answer = (Chunks, Vec<Result<ChatChunk, ModelError>>);

    async fn once(&mut self, model: &Model, is_taken: &mut bool) -> Result<Self::Answer, Refusal> {
        first_piece(model, self.0, is_taken).await
    }

    async fn meanwhile(&mut self) -> Infallible {
        self.0.meanwhile().await
    }
}

/// One attempt, up to the first piece of text.
async fn first_piece(
    model: &Model,
    asker: &mut dyn Asker,
    is_taken: &mut bool,
) -> Result<(Chunks, Vec<Result<ChatChunk, ModelError>>), Refusal> {
    let limit = model.limits.first_token;
    // Others' replies are no silence of this one's model: the total limit is enough for waiting.
    let mut is_queued = false;
    let asking = timeout(limit, model.provider.stream(asker.request(model)));
    let asked = patiently(asking, asker).await;
    let stream = asked.map_err(|_| Refusal::TimedOut)?.map_err(Refusal::Error)?;
    let mut chunks = stream.ready_chunks(MOST_AT_ONCE);
    loop {
        let next = if is_queued {
            patiently(chunks.next(), asker).await
        } else {
            let waiting = timeout(limit, chunks.next());
            patiently(waiting, asker).await.map_err(|_| Refusal::TimedOut)?
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
                    asker.queued(position);
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

async fn patiently<T>(waiting: impl Future<Output = T>, asker: &mut dyn Asker) -> T {
    tokio::select! {
        biased;
        done = waiting => done,
        never = asker.meanwhile() => match never {},
    }
}

impl Refusal {
    fn failure(&self) -> Failure {
        match self {
            Self::TimedOut => Failure::FirstTokenTimeout,
            Self::Error(ModelError::NotInstalled { .. }) => Failure::ModelUnavailable,
            Self::Error(
                ModelError::Rejected { .. }
                | ModelError::UnknownModel { .. }
                | ModelError::Unsupported { .. }
                | ModelError::NoEmbeddings,
            ) => Failure::ModelRejected,
            Self::Error(_) => Failure::ModelFailed,
        }
    }

    fn is_worth_another_try(&self) -> bool {
        match self {
            Self::TimedOut => false,
            Self::Error(
                ModelError::Rejected { .. }
                | ModelError::UnknownModel { .. }
                | ModelError::Unsupported { .. }
                | ModelError::NoEmbeddings
                | ModelError::NotInstalled { .. },
            ) => false,
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

    fn into_error(self) -> Option<ModelError> {
        match self {
            Self::Error(error) => Some(error),
            Self::TimedOut => None,
        }
    }

    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Error(error) => Some(error),
            Self::TimedOut => None,
        }
    }
}
