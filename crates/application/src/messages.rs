//! What was said in a conversation.

mod feedback;
mod place;

use std::sync::Arc;

use repartee_domain::{
    FieldError, MessageId, Text,
    messages::{Message, MessageRole},
};

pub(crate) use self::place::{MOST_TRIES, Spot, find_in};
use crate::{
    Actor, AppError, IdempotencyKey, Order, Page, PageRequest, Permission,
    conversations::key_about,
    ports::{
        Branch, Clock, ConversationReference, ConversationRepository, ConversationStats, Done,
        IdGenerator, IdempotencyKeys, MessageReference, MessageRepository, PortError,
        TurnRepository, UsedKey,
    },
};

/// Where the keys of messages are used. The same as that of turns, for it is one route to clients.
const ROUTE: &str = crate::replies::KEY_ROUTE;

pub struct MessageService {
    conversations: Arc<dyn ConversationRepository>,
    messages: Arc<dyn MessageRepository>,
    turns: Arc<dyn TurnRepository>,
    keys: Arc<dyn IdempotencyKeys>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
}

/// A message that nobody answers.
#[derive(Debug, Clone)]
pub struct Said {
    pub role: MessageRole,
    pub content: String,
}

impl MessageService {
    pub fn new(
        conversations: Arc<dyn ConversationRepository>,
        messages: Arc<dyn MessageRepository>,
        turns: Arc<dyn TurnRepository>,
        keys: Arc<dyn IdempotencyKeys>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
    ) -> Self {
        Self { conversations, messages, turns, keys, clock, ids }
    }

    /// The messages of a conversation in the order in which they were stored: of the newest
    /// branch, or of the one that is asked for.
    pub async fn list(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        branch: Branch<MessageReference>,
        order: Order,
        page: PageRequest<MessageId>,
    ) -> Result<Page<Message, MessageId>, AppError> {
        actor.may(Permission::Read)?;
        let branch = match branch {
            Branch::Newest => Branch::Newest,
            Branch::All => Branch::All,
            Branch::Through(message) => {
                Branch::Through(self.find(actor, conversation, message).await?.id)
            }
        };
        let page = self.messages.list(actor.user, conversation, branch, order, page).await?;
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

    /// Stores a message that nobody answers, after `parent` or everything else: a note, or a
    /// conversation brought from elsewhere. Where the key was used for the same before, that
    /// message is given again.
    pub async fn store(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        said: Said,
        parent: Option<MessageReference>,
        key: Option<IdempotencyKey>,
    ) -> Result<Message, AppError> {
        actor.may(Permission::Chat)?;
        let (conversations, messages) = (&*self.conversations, &*self.messages);
        let key = key_about(conversations, actor.user, conversation, key).await?;
        let spot = Spot::named(conversations, messages, actor.user, conversation, parent).await?;
        self.put(actor, conversation, said, spot, key).await
    }

    /// Stores a question beside the one that it is an edited form of.
    ///
    /// # Errors
    /// [`AppError::Invalid`] for what is no question.
    pub async fn edit(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        message: MessageReference,
        content: String,
        key: Option<IdempotencyKey>,
    ) -> Result<Message, AppError> {
        actor.may(Permission::Chat)?;
        let question = self.find(actor, conversation, message).await?;
        require_question(&question)?;
        let key = key.map(|key| key.about(question.id.as_uuid()));
        let said = Said { role: MessageRole::User, content };
        self.put(actor, conversation, said, Spot::Beside(question.id), key).await
    }

    async fn put(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        said: Said,
        spot: Spot,
        key: Option<IdempotencyKey>,
    ) -> Result<Message, AppError> {
        if let Some(key) = &key
            && let Some(used) =
                self.keys.find(actor.user, ROUTE, key.as_str(), self.clock.now()).await?
        {
            return self.again(actor, key, used).await;
        }
        for _ in 0..MOST_TRIES {
            let found = self.conversations.find(actor.user, conversation).await?;
            let conversation = found.ok_or(AppError::CONVERSATION_NOT_FOUND)?;
            let content = said.check()?;
            conversation.accept_message()?;
            let found = spot.find(&*self.turns, &conversation).await?;
            let message = Message::said(
                MessageId::from_uuid(self.ids.id()),
                self.ids.code(),
                conversation.id,
                found.parent,
                said.role,
                content,
                self.clock.now(),
            );
            let stored_key = key.as_ref().map(|key| key.on(ROUTE, message.created_at));
            let stored =
                self.messages.store(actor.user, message.clone(), found.place, stored_key).await;
            match (stored, &key) {
                (Ok(Some(used)), Some(key)) => return self.again(actor, key, used).await,
                (Ok(_), _) => return Ok(message),
                // It was closed, or more was said in it: looked at again, it tells.
                (Err(PortError::Stale), _) => {}
                (Err(error), _) => return Err(error.into()),
            }
        }
        Err(PortError::Stale.into())
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

impl Said {
    fn check(&self) -> Result<Text, AppError> {
        if self.role == MessageRole::Tool {
            let detail = "must be user, assistant or system";
            return Err(AppError::invalid(FieldError::new("role", "invalid", detail)));
        }
        Message::parse_content(self.content.clone()).map_err(AppError::invalid)
    }
}

/// Only what a user asked is edited.
pub(crate) fn require_question(message: &Message) -> Result<(), AppError> {
    if message.role == MessageRole::User {
        return Ok(());
    }
    let detail = "must name a question: others are not edited";
    Err(AppError::invalid(FieldError::new("message_id", "invalid", detail)))
}
