//! What `/api/chat` takes and answers.

use repartee_application::{
    ports::{LoggedEvent, PortError},
    replies::NewMessage,
};
use repartee_domain::{PersonaId, conversations::ConversationChanges};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ApiError;

#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"message": "Which tea keeps me awake?"}))]
pub(crate) struct ChatBody {
    /// A UUID that is yours alone. Left out: one is made, and the answer has it.
    #[schema(format = Uuid, example = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f")]
    pub(crate) session_id: Option<String>,
    #[schema(min_length = 1, max_length = 100_000)]
    pub(crate) message: String,
    /// An active persona, for this message and those that follow.
    persona_id: Option<i64>,
    /// Instructions for the model, beside the operator's: where a conversation begins.
    pub(crate) system_message: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatReplyBody {
    /// Goes on in this conversation.
    pub(crate) session_id: Uuid,
    /// The reply's.
    message_id: Uuid,
    #[schema(example = "Green tea.")]
    reply: String,
    /// The conversation's.
    persona_id: Option<i64>,
    /// Of prompt and reply.
    #[schema(example = 85)]
    tokens_used: u32,
}

/// What a reply's last event says.
#[derive(Deserialize)]
pub(crate) struct Ended {
    pub(crate) message: EndedMessage,
    pub(crate) usage: EndedUsage,
}

#[derive(Deserialize)]
pub(crate) struct EndedMessage {
    pub(crate) id: Uuid,
    pub(crate) content: String,
}

#[derive(Deserialize)]
pub(crate) struct EndedUsage {
    pub(crate) total_tokens: u32,
}

impl Ended {
    pub(crate) fn read(end: &LoggedEvent) -> Result<Self, ApiError> {
        let read = serde_json::from_slice(&end.data);
        Ok(read.map_err(|error| PortError::Corrupt(error.into()))?)
    }
}

impl ChatBody {
    /// Which conversation is meant, what is said of it where it begins, and the message.
    pub(crate) fn parts(self) -> Result<(Option<Uuid>, ConversationChanges, NewMessage), ApiError> {
        let about = ConversationChanges {
            system_message: Some(self.system_message),
            persona: self.persona_id.map(|id| Some(PersonaId::new(id))),
            ..ConversationChanges::default()
        };
        let message = NewMessage { content: self.message, ..NewMessage::default() };
        Ok((session_id(self.session_id.as_deref())?, about, message))
    }
}

pub(crate) fn session_id(text: Option<&str>) -> Result<Option<Uuid>, ApiError> {
    let parsed = text.map(Uuid::try_parse).transpose();
    parsed.map_err(|_| ApiError::invalid("session_id", "invalid", "must be a UUID"))
}

impl ChatReplyBody {
    pub(crate) fn of(
        end: &LoggedEvent,
        session_id: Uuid,
        persona_id: Option<i64>,
    ) -> Result<Self, ApiError> {
        let end = Ended::read(end)?;
        Ok(Self {
            session_id,
            message_id: end.message.id,
            reply: end.message.content,
            persona_id,
            tokens_used: end.usage.total_tokens,
        })
    }
}
