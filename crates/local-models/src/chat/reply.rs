//! Writing one reply, on a lane, and reading it, on the async side.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::{StreamExt, stream};
use repartee_application::ports::{ChatChunk, ChatStream, ModelError};
use repartee_domain::replies::FinishReason;
use tokio::sync::mpsc;

use super::{
    engine::{Engine, EngineError, Session},
    queue::Place,
    sampler::Sampler,
    text::TextDecoder,
};

/// Tokens of a prompt that are read in one go. Between two of them a cancelled reply stops.
const PIECE: usize = 128;

/// What may lie between the writer and a slow reader.
pub(crate) const CHUNKS_AHEAD: usize = 64;

pub(crate) type ChunkSender = mpsc::Sender<Result<ChatChunk, ModelError>>;
pub(crate) type ChunkReceiver = mpsc::Receiver<Result<ChatChunk, ModelError>>;

/// A reply that is to be written.
pub(crate) struct Assignment {
    /// Tokens; at least one.
    pub(crate) prompt: Vec<u32>,
    pub(crate) temperature: Option<f32>,
    /// Tokens; prompt and reply fit the context.
    pub(crate) limit: u32,
}

/// How a reply went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Finished,
    /// Nobody reads on.
    Abandoned,
    Broken,
}

/// Writes the reply into `out`. Nothing that the model does gets past: a panic breaks off the
/// reply and no more.
pub(crate) fn write(engine: &Engine, assignment: &Assignment, out: &ChunkSender) -> Outcome {
    let result = catch_unwind(AssertUnwindSafe(|| {
        Writer { engine, assignment, out }.write(engine.weights.session().as_mut())
    }));
    let error = match result {
        Ok(Ok(outcome)) => return outcome,
        Ok(Err(error)) => error,
        Err(_) => EngineError::Panicked,
    };
    // The reader may be gone by now; then nobody minds.
    let _ = out.blocking_send(Err(ModelError::Broken(error.into())));
    Outcome::Broken
}

struct Writer<'a> {
    engine: &'a Engine,
    assignment: &'a Assignment,
    out: &'a ChunkSender,
}

impl Writer<'_> {
    fn write(&self, session: &mut dyn Session) -> Result<Outcome, EngineError> {
        let mut logits = Vec::new();
        for piece in self.assignment.prompt.chunks(PIECE) {
            if self.out.is_closed() {
                return Ok(Outcome::Abandoned);
            }
            logits = session.read(piece)?;
        }
        let mut sampler = Sampler::new(self.assignment.temperature);
        let mut decoder = TextDecoder::default();
        let mut written = 0;
        while written < self.assignment.limit {
            let token = sampler.next(logits)?;
            if self.engine.vocabulary.ends_reply(token) {
                return Ok(self.finish(FinishReason::Stop, written));
            }
            written += 1;
            let text = decoder.push(&self.engine.vocabulary.bytes(token));
            if !text.is_empty() && !self.send(ChatChunk::Text(text)) || self.out.is_closed() {
                return Ok(Outcome::Abandoned);
            }
            if written == self.assignment.limit {
                break;
            }
            logits = session.read(&[token])?;
        }
        Ok(self.finish(FinishReason::Length, written))
    }

    fn finish(&self, reason: FinishReason, completion_tokens: u32) -> Outcome {
        let prompt_tokens = u32::try_from(self.assignment.prompt.len()).unwrap_or(u32::MAX);
        let sent = self.send(ChatChunk::Finished(reason))
            && self.send(ChatChunk::Usage { prompt_tokens, completion_tokens });
        if sent { Outcome::Finished } else { Outcome::Abandoned }
    }

    /// Whether somebody still reads. Waits for a slow reader, but not for one that is gone.
    fn send(&self, chunk: ChatChunk) -> bool {
        self.out.blocking_send(Ok(chunk)).is_ok()
    }
}

/// What the asker sees: its place in the queue, then the reply.
pub(crate) fn read(place: Place, chunks: ChunkReceiver) -> ChatStream {
    let waiting = stream::unfold(place, |mut place| async move {
        let position = place.moved().await?;
        Some((Ok(ChatChunk::Queued { position }), place))
    });
    let reply = stream::unfold(chunks, |mut chunks| async move {
        let chunk = chunks.recv().await?;
        Some((chunk, chunks))
    });
    waiting.chain(reply).boxed()
}
