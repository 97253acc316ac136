//! What family D is answered.

use chrono::{DateTime, Utc};
use repartee_application::accounts::NewTicket;
use repartee_domain::conversations::{Conversation, ConversationStatusName};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    accounts::TicketBody, conversations::ConversationBody, messages::MessageBody,
    time::rfc3339_option,
};

/// A conversation that was opened again.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReconnectedBody<'a> {
    #[serde(flatten)]
    pub(super) conversation: ConversationBody,
    /// The last ones, oldest first.
    #[schema(inline)]
    pub(super) messages: Vec<MessageBody<'a>>,
    /// Opens one stream or socket. Null for keys, and for who acts in somebody else's name.
    pub(super) ticket: Option<TicketBody>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ValidityBody {
    /// Whether there is such a conversation.
    #[schema(example = true)]
    valid: bool,
    /// `active`, `ended` or `archived`; null where there is none.
    #[schema(example = "ended")]
    status: Option<&'static str>,
    /// Whether it takes messages.
    #[schema(example = false)]
    can_send: bool,
    #[serde(serialize_with = "rfc3339_option")]
    last_message_at: Option<DateTime<Utc>>,
}

impl<'a> ReconnectedBody<'a> {
    pub(super) fn new(
        conversation: Conversation,
        messages: Vec<MessageBody<'a>>,
        ticket: Option<NewTicket>,
    ) -> Self {
        Self { conversation: conversation.into(), messages, ticket: ticket.map(Into::into) }
    }
}

impl ValidityBody {
    pub(super) fn of(conversation: Option<&Conversation>) -> Self {
        let status = conversation.map(|conversation| conversation.status.name());
        Self {
            valid: conversation.is_some(),
            status: status.map(ConversationStatusName::as_str),
            can_send: conversation.is_some_and(|found| found.accept_message().is_ok()),
            last_message_at: conversation.and_then(|found| found.last_message_at),
        }
    }
}
