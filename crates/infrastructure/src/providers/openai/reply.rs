//! A reply as it comes in.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use repartee_application::ports::{ChatChunk, ChatStream, ModelError, Source};
use repartee_domain::replies::FinishReason;
use reqwest::Response;
use serde_json::Value;

use super::{
    errors::Problem,
    health::Health,
    key::Key,
    sse::{Decoder, Event},
    wire::{Completion, Usage},
};
use crate::within::within;

/// How long the end of an answer is waited for once all of it has been said. A connection that
/// was read to its end is used again.
const ENDING: Duration = Duration::from_millis(250);
/// The longest answer that is not a stream. Bytes.
pub(super) const MAX_WHOLE: usize = 4 << 20;

/// Reads the answer as it is asked for. Dropping the stream closes the connection.
pub(super) fn streamed(
    response: Response,
    transcript: Transcript,
    health: Arc<Health>,
) -> ChatStream {
    let events = Decoder::default();
    let reply = Reply { response, events, is_received: false, transcript };
    stream::try_unfold((reply, health), |(mut reply, health)| async move {
        match reply.next().await {
            Ok(Some(chunk)) => {
                if let ChatChunk::Finished(_) = chunk {
                    health.succeeded();
                }
                Ok(Some((chunk, (reply, health))))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                health.failed();
                Err(error)
            }
        }
    })
    .boxed()
}

/// A whole completion, from a server that does not stream.
pub(super) fn whole(json: &[u8], mut transcript: Transcript) -> Result<ChatStream, ModelError> {
    transcript.read_json(json)?;
    transcript.finish(FinishReason::Stop);
    Ok(stream::iter(transcript.ready.into_iter().map(Ok)).boxed())
}

struct Reply {
    response: Response,
    events: Decoder,
    /// The body has come to its end.
    is_received: bool,
    transcript: Transcript,
}

impl Reply {
    async fn next(&mut self) -> Result<Option<ChatChunk>, ModelError> {
        loop {
            if let Some(chunk) = self.transcript.ready.pop_front() {
                return Ok(Some(chunk));
            }
            if self.transcript.is_done {
                self.read_to_end().await;
                return Ok(None);
            }
            match self.events.next_event().map_err(broken)? {
                Some(event) => self.transcript.read(&event)?,
                None if self.is_received => self.transcript.end("the answer ended too early")?,
                None => self.receive().await?,
            }
        }
    }

    async fn receive(&mut self) -> Result<(), ModelError> {
        match self.response.chunk().await {
            Ok(Some(bytes)) => self.events.feed(&bytes),
            Ok(None) => {
                self.events.finish();
                self.is_received = true;
            }
            Err(error) => self.transcript.end(error.without_url())?,
        }
        Ok(())
    }

    async fn read_to_end(&mut self) {
        // Whatever still comes is not read into the reply; a server that does not end its answer
        // loses the connection.
        let rest = async { while let Ok(Some(_)) = self.response.chunk().await {} };
        let _ = within(ENDING, rest).await;
    }
}

/// What the answer has said so far.
pub(super) struct Transcript {
    key: Key,
    /// Whether what is no text is told as well.
    tells_fields: bool,
    ready: VecDeque<ChatChunk>,
    /// Told after the end: servers that count along send one with every piece.
    usage: Option<Usage>,
    is_finished: bool,
    is_done: bool,
}

impl Transcript {
    pub(super) fn new(key: Key, tells_fields: bool) -> Self {
        let ready = VecDeque::new();
        Self { key, tells_fields, ready, usage: None, is_finished: false, is_done: false }
    }

    fn read(&mut self, event: &Event<'_>) -> Result<(), ModelError> {
        if event.is_error {
            return Err(self.reported(serde_json::from_slice(event.data).unwrap_or_default()));
        }
        if event.data.trim_ascii() == b"[DONE]" {
            self.finish(FinishReason::Stop);
            self.is_done = true;
            return Ok(());
        }
        self.read_json(event.data)
    }

    fn read_json(&mut self, json: &[u8]) -> Result<(), ModelError> {
        let completion: Completion = serde_json::from_slice(json).map_err(|e| malformed(&e))?;
        if let Some(error) = completion.error {
            return Err(self.reported(error));
        }
        self.usage = completion.usage.or(self.usage);
        match completion.choices {
            Some(choices) => {
                if let Some(choice) = choices.0
                    && !self.is_finished
                {
                    let fields = self.tells_fields.then(|| choice.fields()).flatten();
                    let (text, finish) = choice.take();
                    if !text.is_empty() {
                        self.ready.push_back(ChatChunk::Text(text));
                    }
                    self.ready.extend(fields.map(ChatChunk::Fields));
                    if let Some(reason) = finish {
                        self.finish(reason);
                    }
                }
            }
            None if completion.usage.is_none() => self.refuse_error_object(json)?,
            None => {}
        }
        if self.is_finished {
            self.tell_usage();
        }
        Ok(())
    }

    fn finish(&mut self, reason: FinishReason) {
        if !self.is_finished {
            self.is_finished = true;
            self.ready.push_back(ChatChunk::Finished(reason));
        }
        self.tell_usage();
    }

    fn tell_usage(&mut self) {
        if let Some(Usage { prompt_tokens: Some(prompt), completion_tokens: Some(completion) }) =
            self.usage.take()
        {
            self.ready.push_back(ChatChunk::Usage {
                prompt_tokens: prompt,
                completion_tokens: completion,
            });
        }
    }

    /// Nothing more comes, which is right only after a finish reason.
    fn end(&mut self, why: impl Into<Source>) -> Result<(), ModelError> {
        if !self.is_finished {
            return Err(broken(why));
        }
        self.is_done = true;
        Ok(())
    }

    /// Some servers put an error in the place of a piece.
    fn refuse_error_object(&self, json: &[u8]) -> Result<(), ModelError> {
        let object: Value = serde_json::from_slice(json).map_err(|e| malformed(&e))?;
        if object.get("object").and_then(Value::as_str) == Some("error") {
            return Err(self.reported(object));
        }
        Ok(())
    }

    /// What went wrong by the provider's code alone: its words are for nobody else.
    fn reported(&self, error: Value) -> ModelError {
        let problem: Problem = serde_json::from_value(error).unwrap_or_default();
        match problem.code(&self.key) {
            Some(code) => broken(format!("the provider reported an error: {code}")),
            None => broken("the provider reported an error"),
        }
    }
}

pub(super) fn broken(why: impl Into<Source>) -> ModelError {
    ModelError::Broken(why.into())
}

/// Where JSON went wrong. What it says there stays out: serde's own words quote it.
pub(super) fn malformed(error: &serde_json::Error) -> ModelError {
    let (kind, line, column) = (error.classify(), error.line(), error.column());
    broken(format!("the answer cannot be read: {kind:?} error at line {line}, column {column}"))
}
