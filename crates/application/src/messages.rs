//! What was said in a conversation.

use std::sync::Arc;

use repartee_domain::{
    FieldError, MessageId,
    messages::{Message, MessageRole},
};

use crate::{
    Actor, AppError, Order, Page, PageRequest,
    ports::{
        Clock, ConversationReference, ConversationRepository, IdGenerator, MessageRepository,
        PortError,
    },
};

pub struct MessageService {
    conversations: Arc<dyn ConversationRepository>,
    messages: Arc<dyn MessageRepository>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
}

impl MessageService {
    pub fn new(
        conversations: Arc<dyn ConversationRepository>,
        messages: Arc<dyn MessageRepository>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
    ) -> Self {
        Self { conversations, messages, clock, ids }
    }

    /// The messages of a conversation in the order in which they were stored.
    pub async fn list(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        order: Order,
        page: PageRequest<MessageId>,
    ) -> Result<Page<Message, MessageId>, AppError> {
        let page = self.messages.list(actor.user, conversation, order, page).await?;
        page.ok_or(AppError::CONVERSATION_NOT_FOUND)
    }

    /// Stores a message that nobody answers: a note, or a conversation brought from elsewhere.
    pub async fn store(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        role: MessageRole,
        content: String,
    ) -> Result<Message, AppError> {
        let found = self.conversations.find(actor.user, conversation).await?;
        let conversation = found.ok_or(AppError::CONVERSATION_NOT_FOUND)?;
        if role == MessageRole::Tool {
            return Err(AppError::invalid(FieldError::new(
                "role",
                "invalid",
                "must be user, assistant or system",
            )));
        }
        let content = Message::parse_content(content).map_err(AppError::invalid)?;
        conversation.accept_message()?;
        let message = Message::said(
            MessageId::from_uuid(self.ids.id()),
            self.ids.code(),
            conversation.id,
            None,
            role,
            content,
            self.clock.now(),
        );
        match self.messages.store(message.clone()).await {
            Ok(()) => Ok(message),
            Err(PortError::Stale) => Err(AppError::CONVERSATION_NOT_FOUND),
            Err(error) => Err(error.into()),
        }
    }
}
