//! Events in JSON: one content for every surface.

use bytes::Bytes;
use repartee_application::{
    AppError,
    ports::{EventEncoder, ReplyEvent},
};
use repartee_domain::{
    messages::Message,
    replies::{Generation, Outcome},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ApiError,
    json::to_bytes,
    messages::{MessageBody, UsageBody},
    problem::Problem,
};

/// The version of the vocabulary, so that replicas of two versions can run side by side.
const VERSION: u8 = 1;

#[derive(Debug, Default)]
pub struct JsonEventEncoder;

/// The first event of a reply.
#[derive(Serialize)]
pub(crate) struct StartData<'a> {
    v: u8,
    generation_id: Uuid,
    conversation_id: Uuid,
    message_id: Uuid,
    user_message_id: Uuid,
    model: &'a str,
}

#[derive(Serialize)]
struct QueuedData {
    position: u32,
}

#[derive(Serialize)]
struct DeltaData<'a> {
    text: &'a str,
}

#[derive(Deserialize)]
struct ToldText {
    text: String,
}

#[derive(Serialize)]
struct EndData<'a> {
    message: MessageBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'static str>,
    usage: UsageBody,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
}

impl EventEncoder for JsonEventEncoder {
    fn encode(&self, event: &ReplyEvent<'_>) -> Bytes {
        match event {
            ReplyEvent::Started { generation } => to_bytes(&StartData::from(*generation)),
            ReplyEvent::Queued { position } => to_bytes(&QueuedData { position: *position }),
            ReplyEvent::Delta { text } => to_bytes(&DeltaData { text }),
            ReplyEvent::Ended { outcome, reply, attempts } => {
                to_bytes(&EndData::of(*outcome, reply, *attempts))
            }
        }
    }

    fn delta_text(&self, data: &[u8]) -> Option<String> {
        serde_json::from_slice::<ToldText>(data).ok().map(|data| data.text)
    }
}

impl<'a> From<&'a Generation> for StartData<'a> {
    fn from(generation: &'a Generation) -> Self {
        Self {
            v: VERSION,
            generation_id: generation.id.as_uuid(),
            conversation_id: generation.conversation.as_uuid(),
            message_id: generation.message.as_uuid(),
            user_message_id: generation.user_message.as_uuid(),
            model: &generation.model,
        }
    }
}

impl<'a> EndData<'a> {
    fn of(outcome: Outcome, reply: &'a Message, attempts: u32) -> Self {
        let usage = reply.writing.as_ref().and_then(|writing| writing.usage).unwrap_or_default();
        Self {
            message: reply.into(),
            finish_reason: outcome
                .finish_reason()
                .map(repartee_domain::replies::FinishReason::as_str),
            usage: usage.into(),
            attempts,
            error: match outcome {
                Outcome::Failed(failure) => {
                    Some(Problem::of(&ApiError::App(AppError::Reply(failure))))
                }
                Outcome::Completed(_) | Outcome::Cancelled | Outcome::Interrupted => None,
            },
        }
    }
}
