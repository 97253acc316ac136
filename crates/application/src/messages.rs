//! What was said in a conversation.

mod feedback;

use std::sync::Arc;

use repartee_domain::{
    FieldError, MessageId,
    messages::{Message, MessageRole},
};

use crate::{
    Actor, AppError, IdempotencyKey, Order, Page, PageRequest, Permission,
    conversations::{key_about, why_closed},
    ports::{
        Clock, ConversationReference, ConversationRepository, ConversationStats, Done, IdGenerator,
        IdempotencyKeys, MessageRepository, PortError, UsedKey,
    },
};

/// Where the keys of messages are used. The same as that of turns, for it is one route to clients.
const ROUTE: &str = crate::replies::KEY_ROUTE;

pub struct MessageService {
    conversations: Arc<dyn ConversationRepository>,
    messages: Arc<dyn MessageRepository>,
    keys: Arc<dyn IdempotencyKeys>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
}

impl MessageService {
    pub fn new(
        conversations: Arc<dyn ConversationRepository>,
        messages: Arc<dyn MessageRepository>,
        keys: Arc<dyn IdempotencyKeys>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
    ) -> Self {
        Self { conversations, messages, keys, clock, ids }
    }

    /// The messages of a conversation in the order in which they were stored.
    pub async fn list(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        order: Order,
        page: PageRequest<MessageId>,
    ) -> Result<Page<Message, MessageId>, AppError> {
        actor.may(Permission::Read)?;
        let page = self.messages.list(actor.user, conversation, order, page).await?;
        page.ok_or(AppError::CONVERSATION_NOT_FOUND)
    }

    /// What a conversation came to.
    pub async fn stats(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
    ) -> Result<ConversationStats, AppError> {
        actor.may(Permission::Read)?;
        let stats = self.messages.stats(actor.user, conversation).await?;
        stats.ok_or(AppError::CONVERSATION_NOT_FOUND)
    }

    /// Stores a message that nobody answers: a note, or a conversation brought from elsewhere.
    /// Where the key was used for the same before, that message is given again.
    pub async fn store(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        role: MessageRole,
        content: String,
        key: Option<IdempotencyKey>,
    ) -> Result<Message, AppError> {
        actor.may(Permission::Chat)?;
        let now = self.clock.now();
        let key = key_about(&*self.conversations, actor.user, conversation, key).await?;
        if let Some(key) = &key
            && let Some(used) = self.keys.find(actor.user, ROUTE, key.as_str(), now).await?
        {
            return self.again(actor, key, used).await;
        }
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
            now,
        );
        let stored_key = key.as_ref().map(|key| key.on(ROUTE, now));
        match self.messages.store(actor.user, message.clone(), stored_key).await {
            Ok(None) => Ok(message),
            Ok(Some(used)) => match key {
                Some(key) => self.again(actor, &key, used).await,
                None => Ok(message),
            },
            Err(PortError::Stale) => {
                Err(why_closed(&*self.conversations, actor.user, message.conversation).await)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn again(
        &self,
        actor: &Actor,
        key: &IdempotencyKey,
        used: UsedKey,
    ) -> Result<Message, AppError> {
        match used.done {
            Done::Message(message) if used.fingerprint == key.fingerprint() => {
                let stored = self.messages.find(actor.user, message).await?;
                stored.ok_or(AppError::CONVERSATION_NOT_FOUND)
            }
            _ => Err(AppError::KeyReused),
        }
    }
}
