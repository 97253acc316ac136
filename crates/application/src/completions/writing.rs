//! A model's answer on its way to who asked.

use std::{collections::VecDeque, time::Duration};

use futures::{StreamExt, stream};
use repartee_domain::replies::{Failure, FinishReason, Usage};
use tokio::time::{Instant, sleep_until};

use super::{Piece, Pieces, running::Running};
use crate::{
    AppError,
    asking::{Answering, Chunks},
    ports::{ChatChunk, ModelError},
    replies::RETRY_AFTER_SHUTDOWN,
};

/// No model has more to say; a broken one might never end.
const MOST_BYTES: usize = 4 << 20;

/// The pieces of an answer that has begun.
pub(super) fn written(running: Running, answering: Answering) -> Pieces {
    let Answering { model, chunks, first } = answering;
    let idle = model.limits.idle;
    let ready = VecDeque::from(first);
    let writing = Writing { running, chunks, ready, idle, reason: None };
    stream::unfold(Some(writing), |writing| async move {
        let mut writing = writing?;
        let piece = writing.next().await;
        let is_last = matches!(piece, Ok(Piece::Ended { .. }) | Err(_));
        Some((piece, (!is_last).then_some(writing)))
    })
    .boxed()
}

struct Writing {
    running: Running,
    chunks: Chunks,
    ready: VecDeque<Result<ChatChunk, ModelError>>,
    idle: Duration,
    reason: Option<FinishReason>,
}

impl Writing {
    async fn next(&mut self) -> Result<Piece, AppError> {
        loop {
            while let Some(chunk) = self.ready.pop_front() {
                match chunk {
                    Ok(ChatChunk::Text(text)) => {
                        if !self.has_room_for(&text) {
                            return Ok(self.end(FinishReason::Length).await);
                        }
                        return Ok(Piece::Text(text));
                    }
                    Ok(ChatChunk::Fields(fields)) => {
                        if !self.has_room_for(&fields) {
                            return Ok(self.end(FinishReason::Length).await);
                        }
                        return Ok(Piece::Fields(fields));
                    }
                    Ok(ChatChunk::Finished(reason)) => self.reason = Some(reason),
                    Ok(ChatChunk::Usage { prompt_tokens, completion_tokens }) => {
                        let usage = Usage { prompt_tokens, completion_tokens, estimated: false };
                        self.running.bill.usage = Some(usage);
                    }
                    Ok(ChatChunk::Queued { .. }) => {}
                    Err(error) => return self.over(Some(error), Failure::ModelFailed).await,
                }
            }
            let silent = Instant::now() + self.idle;
            tokio::select! {
                biased;
                () = self.running.stopped() => {
                    self.running.settle(true).await;
                    return Err(AppError::ShuttingDown { retry_after: RETRY_AFTER_SHUTDOWN });
                }
                () = sleep_until(self.running.deadline) => {
                    return self.over(None, Failure::TotalTimeout).await;
                }
                next = self.chunks.next() => match next {
                    Some(chunks) => self.ready.extend(chunks),
                    None => return self.over(None, Failure::ModelFailed).await,
                },
                () = sleep_until(silent) => return self.over(None, Failure::IdleTimeout).await,
            }
        }
    }

    /// Notes what was said, for the bill.
    fn has_room_for(&mut self, said: &str) -> bool {
        let text = &mut self.running.bill.text;
        let is_room = text.len() + said.len() <= MOST_BYTES;
        if is_room {
            text.push_str(said);
        }
        is_room
    }

    /// Nothing more comes: a failure, unless all of the answer is there.
    async fn over(
        &mut self,
        error: Option<ModelError>,
        failure: Failure,
    ) -> Result<Piece, AppError> {
        if let Some(reason) = self.reason {
            return Ok(self.end(reason).await);
        }
        log(error.as_ref(), failure);
        self.running.settle(false).await;
        Err(AppError::Reply(failure))
    }

    /// What was used is counted before the end is told: whoever asks next has what is left.
    async fn end(&mut self, reason: FinishReason) -> Piece {
        let usage = self.running.settle(true).await;
        Piece::Ended { reason, usage }
    }
}

fn log(error: Option<&ModelError>, failure: Failure) {
    let source = error.map(|error| error as &(dyn std::error::Error + 'static));
    tracing::warn!(error = source, "the model's answer broke off: {failure}");
}
