//! An answer as a stream of chunks (OpenAI API reference, "Chat completion chunk").

use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};
use repartee_application::completions::{Completion, Piece};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    answer::{CompletionUsageBody, name},
    body::Streaming,
};
use crate::{ApiError, json::to_bytes, openai::OpenAiErrorBody};

const DONE: &[u8] = b"data: [DONE]\n\n";

#[derive(Serialize)]
struct ChunkBody<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: &'a [ChoiceBody<'a>],
    /// Null until the last, where it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<CompletionUsageBody>>,
}

#[derive(Serialize)]
struct ChoiceBody<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Delta<'a> {
    First {
        role: &'static str,
        content: Option<&'a str>,
    },
    Text {
        content: &'a str,
    },
    /// As the provider put it.
    Fields(&'a RawValue),
    Nothing {},
}

/// Every chunk in its frame, and what ends them.
pub(super) fn chunks(completion: Completion, streaming: Streaming) -> BoxStream<'static, Bytes> {
    let id = name(&completion);
    let Completion { model, created_at, pieces, .. } = completion;
    let mut frames =
        Frames { id, model, created: created_at.timestamp(), streaming, has_begun: false };
    pieces.flat_map(move |piece| stream::iter(frames.of(piece.map_err(Into::into)))).boxed()
}

struct Frames {
    id: String,
    model: String,
    created: i64,
    streaming: Streaming,
    has_begun: bool,
}

impl Frames {
    fn of(&mut self, piece: Result<Piece, ApiError>) -> Vec<Bytes> {
        let mut frames = Vec::with_capacity(1);
        match piece {
            Ok(Piece::Text(text)) if self.has_begun => {
                frames.push(self.delta(Delta::Text { content: &text }, None));
            }
            Ok(Piece::Text(text)) => frames.push(self.first(Some(&text))),
            Ok(Piece::Fields(fields)) => {
                if !self.has_begun {
                    frames.push(self.first(None));
                }
                match serde_json::from_str(&fields) {
                    Ok(fields) => frames.push(self.delta(Delta::Fields(fields), None)),
                    Err(error) => tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "fields of a piece are no JSON"
                    ),
                }
            }
            Ok(Piece::Ended { reason, usage }) => {
                if !self.has_begun {
                    frames.push(self.first(Some("")));
                }
                frames.push(self.delta(Delta::Nothing {}, Some(reason.as_str())));
                if self.streaming.tells_usage {
                    frames.push(self.chunk(&[], Some(Some(usage.into()))));
                }
                frames.push(Bytes::from_static(DONE));
            }
            Err(error) => {
                error.log();
                frames.push(frame(&to_bytes(&OpenAiErrorBody::of(&error))));
            }
        }
        frames
    }

    fn first(&mut self, content: Option<&str>) -> Bytes {
        self.has_begun = true;
        self.delta(Delta::First { role: "assistant", content }, None)
    }

    fn delta(&self, delta: Delta<'_>, finish_reason: Option<&'static str>) -> Bytes {
        let choice = ChoiceBody { index: 0, delta, logprobs: None, finish_reason };
        self.chunk(&[choice], self.streaming.tells_usage.then_some(None))
    }

    fn chunk(
        &self,
        choices: &[ChoiceBody<'_>],
        usage: Option<Option<CompletionUsageBody>>,
    ) -> Bytes {
        let (id, model, created) = (&*self.id, &*self.model, self.created);
        let object = "chat.completion.chunk";
        frame(&to_bytes(&ChunkBody { id, object, created, model, choices, usage }))
    }
}

/// One event: JSON has no line breaks.
fn frame(json: &[u8]) -> Bytes {
    [b"data: ", json, b"\n\n"].concat().into()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use repartee_application::AppError;
    use repartee_domain::replies::{Failure, FinishReason, Usage};
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    async fn told(pieces: Vec<Result<Piece, AppError>>, tells_usage: bool) -> (Vec<Value>, bool) {
        let completion = Completion {
            id: Uuid::from_u128(7),
            model: "m".into(),
            created_at: DateTime::UNIX_EPOCH,
            pieces: stream::iter(pieces).boxed(),
        };
        let frames: Vec<Bytes> = chunks(completion, Streaming { tells_usage }).collect().await;
        let text = String::from_utf8(frames.concat()).unwrap();
        let events = text.strip_suffix("\n\n").unwrap().split("\n\n");
        let mut data: Vec<_> = events.map(|event| event.strip_prefix("data: ").unwrap()).collect();
        let is_done = data.pop_if(|last| *last == "[DONE]").is_some();
        (data.into_iter().map(|data| serde_json::from_str(data).unwrap()).collect(), is_done)
    }

    fn end() -> Piece {
        let usage = Usage { prompt_tokens: 5, completion_tokens: 2, estimated: false };
        Piece::Ended { reason: FinishReason::Stop, usage }
    }

    #[actix_web::test]
    async fn every_chunk_has_the_same_id_and_the_role_comes_first() {
        let pieces = vec![Ok(Piece::Text("Gr".into())), Ok(Piece::Text("een".into())), Ok(end())];
        let (chunks, is_done) = told(pieces, true).await;

        assert!(is_done);
        let deltas: Vec<_> = chunks.iter().map(|c| c["choices"][0]["delta"].clone()).collect();
        let first = json!({"role": "assistant", "content": "Gr"});
        assert_eq!(deltas, [first, json!({"content": "een"}), json!({}), Value::Null]);
        assert!(chunks.iter().all(|c| c["id"] == chunks[0]["id"] && c["model"] == "m"));
        assert_eq!(chunks[2]["choices"][0]["finish_reason"], "stop");
        assert_eq!((&chunks[2]["usage"], &chunks[3]["choices"]), (&Value::Null, &json!([])));
        let usage = json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7});
        assert_eq!(chunks[3]["usage"], usage);
    }

    #[actix_web::test]
    async fn calls_of_tools_come_as_they_came_and_usage_only_where_it_is_asked_for() {
        let calls = json!({"tool_calls": [{"index": 0, "id": "a"}]});
        let pieces = vec![Ok(Piece::Fields(calls.to_string())), Ok(end())];
        let (chunks, is_done) = told(pieces, false).await;

        assert!(is_done);
        let first = json!({"role": "assistant", "content": null});
        assert_eq!(chunks[0]["choices"][0]["delta"], first);
        assert_eq!(chunks[1]["choices"][0]["delta"], calls);
        assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
    }

    #[actix_web::test]
    async fn an_error_is_told_in_place_of_the_end() {
        let failed = Err(AppError::Reply(Failure::IdleTimeout));
        let (chunks, is_done) = told(vec![Ok(Piece::Text("a".into())), failed], true).await;

        assert!(!is_done);
        assert_eq!(chunks[1]["error"]["type"], "server_error");
        assert_eq!(chunks[1]["error"]["code"], "model_idle_timeout");
    }
}
