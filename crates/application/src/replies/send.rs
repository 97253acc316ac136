//! Asking for a reply.

use repartee_domain::{FieldError, Text, messages::Message, replies::Generation};

use super::{
    ReplyService,
    begin::{Asked, Asking},
};
use crate::{
    Actor, AppError, IdempotencyKey, Permission,
    conversations::key_about,
    messages::Spot,
    ports::{ConversationReference, EventStream, MessageReference},
};

/// Characters in a model's name.
const MAX_MODEL: usize = 200;

/// A question, as it comes in.
#[derive(Debug, Clone, Default)]
pub struct NewMessage {
    pub content: String,
    /// What it follows; the end of the newest branch where there is none.
    pub parent: Option<MessageReference>,
    pub options: ReplyOptions,
}

/// How a reply is to be written.
#[derive(Debug, Clone, Default)]
pub struct ReplyOptions {
    /// The model to ask, by its name here; the conversation's or the default where there is none.
    pub model: Option<String>,
    /// 0 to 2.
    pub temperature: Option<f32>,
    /// The longest reply, in tokens.
    pub max_tokens: Option<u32>,
}

/// A reply that is being written.
pub struct Begun {
    pub question: Message,
    pub generation: Generation,
    /// All of its events, from the first.
    pub events: EventStream,
}

impl ReplyService {
    /// Stores the question and begins the reply. From then on the reply is written to its end,
    /// whatever becomes of the caller. Where the key was used for the same question before, that
    /// turn is given again: one question, one reply, one bill.
    ///
    /// # Errors
    /// Nothing is stored when it fails, unless the database went away during the commit: then the
    /// turn may be there, and is settled as interrupted.
    pub async fn send(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        message: NewMessage,
        key: Option<IdempotencyKey>,
    ) -> Result<Begun, AppError> {
        actor.may(Permission::Chat)?;
        let ports = &self.shared.ports;
        let (conversations, messages) = (&*ports.conversations, &*ports.messages);
        let key = key_about(conversations, actor.user, conversation, key).await?;
        let NewMessage { content, parent, options } = message;
        let spot = Spot::named(conversations, messages, actor.user, conversation, parent).await?;
        let asked = Asked::Now { content, spot };
        self.ask(actor, &Asking { conversation, asked, options }, key).await
    }
}

impl NewMessage {
    /// Whether it can be sent at all, before anything is made for it.
    pub(crate) fn check_whole(&self) -> Result<(), AppError> {
        self.options.check()?;
        Message::parse_content(self.content.clone()).map(drop).map_err(AppError::invalid)
    }
}

impl ReplyOptions {
    pub(super) fn check(&self) -> Result<(), AppError> {
        check(self.model.as_deref(), self.temperature, self.max_tokens)
    }
}

/// How a model may be asked.
pub(crate) fn check(
    model: Option<&str>,
    temperature: Option<f32>,
    max_tokens: Option<u32>,
) -> Result<(), AppError> {
    let mut errors = Vec::new();
    if temperature.is_some_and(|t| !(0.0..=2.0).contains(&t)) {
        errors.push(FieldError::new("temperature", "out_of_range", "must be from 0 to 2"));
    }
    if max_tokens == Some(0) {
        errors.push(FieldError::new("max_tokens", "out_of_range", "must be at least 1"));
    }
    if let Some(model) = model {
        let checked = Text::parse(model.to_owned(), MAX_MODEL);
        errors.extend(checked.err().map(|error| error.in_field("model")));
    }
    if errors.is_empty() { Ok(()) } else { Err(AppError::Invalid(errors)) }
}
