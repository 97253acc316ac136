//! What the server's frames look like. A reply's event is framed once, however many read it.

use std::time::Duration;

use bytes::Bytes;
use repartee_application::ports::{Envelope, EventKind, LoggedEvent};
use repartee_domain::{ConversationId, conversations::Conversation, messages::Message};
use serde::Serialize;
use uuid::Uuid;

use super::ask::About;
use crate::{
    ApiError,
    conversations::ConversationBody,
    feeds::MessageCreatedData,
    json::{splice, to_bytes},
    problem::{FieldProblem, Problem},
};

#[derive(Serialize)]
struct Frame<T> {
    #[serde(rename = "type")]
    kind: &'static str,
    data: T,
}

#[derive(Serialize)]
struct ConversationData {
    conversation_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<ConversationBody>,
    /// What a guest's client comes back with.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<Uuid>,
}

#[derive(Serialize)]
struct AuthenticatedData {
    expires_in: u64,
}

#[derive(Serialize)]
struct ErrorData {
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
    #[serde(skip_serializing_if = "String::is_empty")]
    request_id: String,
}

#[derive(Serialize)]
struct Nothing {}

fn frame<T: Serialize>(kind: &'static str, data: T) -> Bytes {
    to_bytes(&Frame { kind, data })
}

/// An event of a reply, with where it belongs.
pub(super) fn event(event: &LoggedEvent, conversation: ConversationId) -> Bytes {
    event.framed(Envelope::WebSocket, |event| {
        let seq = event.seq;
        let kind = name(event.kind);
        let head = match event.kind {
            // It says itself where it belongs.
            EventKind::Start => format!("{{\"type\":\"{kind}\",\"data\":{{\"seq\":{seq}"),
            _ => format!(
                "{{\"type\":\"{kind}\",\"data\":{{\"conversation_id\":\"{conversation}\",\
                 \"generation_id\":\"{}\",\"seq\":{seq}",
                event.generation
            ),
        };
        [&*splice(&head, &event.data), b"}"].concat().into()
    })
}

fn name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Start => "message_started",
        EventKind::Queued => "queued",
        EventKind::Delta => "message_delta",
        EventKind::Done => "message_completed",
        EventKind::Cancelled => "message_cancelled",
        EventKind::Failed => "message_failed",
        EventKind::Interrupted => "message_interrupted",
    }
}

pub(super) fn conversation_started(conversation: Conversation, session_id: Option<Uuid>) -> Bytes {
    let conversation_id = conversation.id.as_uuid();
    let conversation = Some(conversation.into());
    let data = ConversationData { conversation_id, conversation, session_id };
    frame("conversation_started", data)
}

pub(super) fn conversation_ended(conversation: ConversationId) -> Bytes {
    let conversation_id = conversation.as_uuid();
    let data = ConversationData { conversation_id, conversation: None, session_id: None };
    frame("conversation_ended", data)
}

pub(super) fn message_created(message: &Message) -> Bytes {
    frame("message_created", MessageCreatedData::of(message))
}

pub(super) fn authenticated(time_left: Duration) -> Bytes {
    frame("authenticated", AuthenticatedData { expires_in: time_left.as_secs() })
}

pub(super) fn pong() -> Bytes {
    frame("pong", Nothing {})
}

/// Something that went wrong, by itself.
pub(super) fn trouble(code: &'static str, detail: impl Into<String>, about: About) -> Bytes {
    let data = ErrorData {
        code,
        detail: detail.into(),
        conversation_id: about.conversation,
        generation_id: about.generation,
        errors: Vec::new(),
        request_id: String::new(),
    };
    frame("error", data)
}

/// All that is answered until a new token comes.
pub(super) fn token_expired() -> Bytes {
    trouble("token_expired", "send authenticate {token} within 30 seconds", About::default())
}

/// What a request would have been refused with.
pub(super) fn refusal(error: &ApiError, about: About) -> Bytes {
    error.log();
    let problem = Problem::of(error);
    let data = ErrorData {
        code: problem.code,
        detail: problem.detail,
        conversation_id: about.conversation,
        generation_id: problem.generation_id.or(about.generation),
        errors: problem.errors,
        request_id: problem.request_id,
    };
    frame("error", data)
}
