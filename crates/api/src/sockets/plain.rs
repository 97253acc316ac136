//! The frames of `/api/chat/stream`: a message, and its reply without numbers.

use bytes::Bytes;
use repartee_application::ports::{EventKind, LoggedEvent};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    ask::{About, Answer, Asker, Refusal, Work},
    incoming::{Unreadable, read},
};
use crate::{
    ApiError,
    chat::{ChatBody, ChatReplyBody, Chatting, Place},
    json::{splice, to_bytes},
    problem::{FieldProblem, Problem, ProblemCode},
};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Frame {
    Start {
        session_id: Uuid,
    },
    End(ChatReplyBody),
    Error {
        code: String,
        detail: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        errors: Vec<FieldProblem>,
    },
}

#[derive(Deserialize)]
struct FailedData {
    error: Option<ProblemCode>,
}

pub(super) fn parse(text: &str) -> Result<Box<ChatBody>, Unreadable> {
    read(text)
}

/// An event of a reply; `None` for what these frames don't tell.
pub(super) fn event(event: &LoggedEvent, session: Uuid, persona: Option<i64>) -> Option<Bytes> {
    let frame = match event.kind {
        EventKind::Start => Frame::Start { session_id: session },
        EventKind::Queued => return None,
        EventKind::Delta => return Some(splice("{\"type\":\"delta\"", &event.data)),
        EventKind::Done => match ChatReplyBody::of(event, session, persona) {
            Ok(reply) => Frame::End(reply),
            Err(error) => return Some(refusal(&error)),
        },
        EventKind::Cancelled => over("reply_cancelled", "the reply was stopped"),
        EventKind::Interrupted => over("reply_interrupted", "the server stopped meanwhile"),
        EventKind::Failed => {
            let data: Option<FailedData> = serde_json::from_slice(&event.data).ok();
            let code = data.and_then(|data| data.error).map(|error| error.code);
            over(code.as_deref().unwrap_or("internal"), "the model failed; the message is stored")
        }
    };
    Some(to_bytes(&frame))
}

fn over(code: &str, detail: &str) -> Frame {
    Frame::Error { code: code.to_owned(), detail: detail.to_owned(), errors: Vec::new() }
}

/// Something that went wrong, by itself.
pub(super) fn trouble(code: &str, detail: impl Into<String>) -> Bytes {
    to_bytes(&over(code, &detail.into()))
}

/// What a request would have been refused with.
pub(super) fn refusal(error: &ApiError) -> Bytes {
    error.log();
    let Problem { code, detail, errors, .. } = Problem::of(error);
    to_bytes(&Frame::Error { code: code.to_owned(), detail, errors })
}

impl Asker {
    /// Sends a message to the session that it names, or else to the socket's last, or a new one.
    pub(super) fn chat(self, body: Box<ChatBody>, last: Option<Uuid>) -> Work {
        Box::pin(async move {
            let begun = self.begin_chat(*body, last).await;
            begun.map_err(|error| Refusal { error, about: About::default() })
        })
    }

    async fn begin_chat(&self, body: ChatBody, last: Option<Uuid>) -> Result<Answer, ApiError> {
        let (session, about, message) = body.parts()?;
        self.admit().await?;
        let place = Place {
            guests: &self.services.guests,
            conversations: &self.services.conversations,
            replies: &self.services.replies,
        };
        let session = session.or(last);
        let Chatting { session, persona, begun } =
            place.chat(&self.actor, session, about, message, None).await?;
        Ok(Answer::Chatting { session, persona, begun: Box::new(begun) })
    }
}

#[cfg(test)]
mod tests {
    use repartee_domain::GenerationId;
    use serde_json::{Value, json};

    use super::*;

    const SESSION: Uuid = Uuid::from_u128(5);

    fn told(kind: EventKind, data: &Value) -> Option<Value> {
        let generation = GenerationId::from_uuid(Uuid::from_u128(1));
        let logged = LoggedEvent::new(generation, 1, kind, data.to_string().into());
        let told = event(&logged, SESSION, Some(3))?;
        Some(serde_json::from_slice(&told).unwrap())
    }

    #[test]
    fn a_reply_is_told_from_its_start_to_its_end() {
        let session = SESSION.to_string();
        let start = told(EventKind::Start, &json!({"v": 1}));
        assert_eq!(start, Some(json!({"type": "start", "session_id": session})));
        let delta = told(EventKind::Delta, &json!({"text": "Gr\"een"}));
        assert_eq!(delta, Some(json!({"type": "delta", "text": "Gr\"een"})));
        assert_eq!(told(EventKind::Queued, &json!({"position": 1})), None);

        let id = Uuid::from_u128(9).to_string();
        let end = json!({
            "message": {"id": id, "content": "Green", "role": "assistant"},
            "usage": {"total_tokens": 7},
        });
        let expected = json!({
            "type": "end", "reply": "Green", "session_id": session, "message_id": id,
            "persona_id": 3, "tokens_used": 7,
        });
        assert_eq!(told(EventKind::Done, &end), Some(expected));
    }

    #[test]
    fn every_other_end_is_an_error_with_a_code() {
        let failed = json!({"error": {"code": "model_timeout"}});
        for (kind, data, code) in [
            (EventKind::Failed, failed, "model_timeout"),
            (EventKind::Cancelled, json!({}), "reply_cancelled"),
            (EventKind::Interrupted, json!({}), "reply_interrupted"),
            (EventKind::Done, json!({}), "internal"),
        ] {
            let error = told(kind, &data).unwrap();
            assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)));
        }
    }
}
