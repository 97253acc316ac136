//! What is told of a change.

use repartee_domain::{
    ConversationId, conversations::Conversation, messages::Message, replies::Generation,
};
use serde::Serialize;
use uuid::Uuid;

use crate::{conversations::ConversationBody, messages::MessageBody, replies::StartData};

/// Bytes of a message's text that a feed tells; more is left out.
pub(super) const MOST_CONTENT: usize = 16 * 1024;

#[derive(Serialize)]
pub(super) struct ConversationData {
    conversation_id: Uuid,
    conversation: ConversationBody,
}

#[derive(Serialize)]
pub(super) struct DeletedData {
    pub(super) conversation_id: Option<Uuid>,
}

/// A message from whichever device, without a text that is too long for an event.
#[derive(Serialize)]
pub(crate) struct MessageCreatedData<'a> {
    conversation_id: Uuid,
    message: MessageBody<'a>,
}

#[derive(Serialize)]
pub(super) struct StartedData<'a> {
    #[serde(flatten)]
    start: StartData<'a>,
    seq: u64,
}

impl ConversationData {
    pub(super) fn of(conversation: &Conversation) -> Self {
        Self {
            conversation_id: conversation.id.as_uuid(),
            conversation: conversation.clone().into(),
        }
    }
}

impl DeletedData {
    pub(super) fn of(conversation: Option<ConversationId>) -> Self {
        Self { conversation_id: conversation.map(ConversationId::as_uuid) }
    }
}

impl<'a> MessageCreatedData<'a> {
    pub(crate) fn of(message: &'a Message) -> Self {
        let mut body = MessageBody::from(message);
        if message.content.len() > MOST_CONTENT {
            body.omit_content();
        }
        Self { conversation_id: message.conversation.as_uuid(), message: body }
    }
}

impl<'a> StartedData<'a> {
    pub(super) fn of(generation: &'a Generation) -> Self {
        Self { start: generation.into(), seq: 1 }
    }
}
