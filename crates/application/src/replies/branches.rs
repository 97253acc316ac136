//! Answering anew, and asking otherwise: branches beside what was said.

use repartee_domain::{
    FieldError,
    messages::{Message, MessageRole},
};

use super::{
    Begun, ReplyOptions, ReplyService,
    begin::{Asked, Asking},
};
use crate::{
    Actor, AppError, IdempotencyKey, Permission,
    messages::{Spot, find_in, require_question},
    ports::{ConversationReference, HistoryFrom, MessageReference},
};

impl ReplyService {
    /// Begins another reply to a question, which is named itself or by one of its replies. Otherwise
    /// as [`ReplyService::send`].
    ///
    /// # Errors
    /// [`AppError::Invalid`] for what neither asks nor answers.
    pub async fn regenerate(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        message: MessageReference,
        options: ReplyOptions,
        key: Option<IdempotencyKey>,
    ) -> Result<Begun, AppError> {
        actor.may(Permission::Chat)?;
        let named = self.named(actor, conversation, message).await?;
        let key = key.map(|key| key.about(named.id.as_uuid()));
        let asked = Asked::Before(Box::new(self.question_of(actor, named).await?));
        self.ask(actor, &Asking { conversation, asked, options }, key).await
    }

    /// Asks a question in other words, beside the one that it replaces in its branch. Otherwise as
    /// [`ReplyService::send`].
    ///
    /// # Errors
    /// [`AppError::Invalid`] for what is no question.
    pub async fn edit(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        message: MessageReference,
        content: String,
        options: ReplyOptions,
        key: Option<IdempotencyKey>,
    ) -> Result<Begun, AppError> {
        actor.may(Permission::Chat)?;
        let question = self.named(actor, conversation, message).await?;
        require_question(&question)?;
        let key = key.map(|key| key.about(question.id.as_uuid()));
        let asked = Asked::Now { content, spot: Spot::Beside(question.id) };
        self.ask(actor, &Asking { conversation, asked, options }, key).await
    }

    async fn named(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        message: MessageReference,
    ) -> Result<Message, AppError> {
        let ports = &self.shared.ports;
        let (conversations, messages) = (&*ports.conversations, &*ports.messages);
        find_in(conversations, messages, actor.user, conversation, message).await
    }

    /// What a message asks, or answers.
    async fn question_of(&self, actor: &Actor, message: Message) -> Result<Message, AppError> {
        let ports = &self.shared.ports;
        let question = match (message.role, message.parent) {
            (MessageRole::User, _) => return Ok(message),
            (MessageRole::Assistant, Some(parent)) => Some(parent),
            (MessageRole::Assistant, None) => {
                let from = HistoryFrom::Before(message.id);
                let before = ports.turns.history(actor.user, message.conversation, from, 1).await?;
                before.messages.first().map(|before| before.id)
            }
            (MessageRole::System | MessageRole::Tool, _) => None,
        };
        if let Some(id) = question {
            // Otherwise it was deleted with its conversation.
            let question = ports.messages.find(actor.user, id).await?;
            let question = question.ok_or(AppError::MESSAGE_NOT_FOUND)?;
            if question.role == MessageRole::User {
                return Ok(question);
            }
        }
        let detail = "must name a question, or a reply to one";
        Err(AppError::invalid(FieldError::new("message_id", "invalid", detail)))
    }
}
