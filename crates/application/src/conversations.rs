//! Everything a user can do to a conversation as a whole.

mod change;
mod open;
mod shape;

use std::sync::Arc;

use repartee_domain::{
    ConversationId, Reference, UserId,
    conversations::{Conversation, ConversationChanges, Subject},
};

pub(crate) use self::shape::{check_shape, with_shape};
use crate::{
    Actor, AppError, IdempotencyKey, Page, PageRequest, Permission,
    idempotency::Making,
    ports::{
        Clock, ConversationFilter, ConversationKey, ConversationReference, ConversationRepository,
        IdGenerator, IdempotencyKeys, PortError, ShapeRepository, TurnRepository,
    },
    replies::ReplyService,
};

/// Where the keys of new conversations are used.
const KEY_ROUTE: &str = "conversations";
/// How often a change is tried while others change the same conversation.
const MOST_TRIES: u32 = 5;

pub struct ConversationService {
    repository: Arc<dyn ConversationRepository>,
    keys: Arc<dyn IdempotencyKeys>,
    turns: Arc<dyn TurnRepository>,
    shapes: Arc<dyn ShapeRepository>,
    replies: ReplyService,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
}

impl ConversationService {
    pub fn new(
        repository: Arc<dyn ConversationRepository>,
        keys: Arc<dyn IdempotencyKeys>,
        turns: Arc<dyn TurnRepository>,
        shapes: Arc<dyn ShapeRepository>,
        replies: ReplyService,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
    ) -> Self {
        Self { repository, keys, turns, shapes, replies, clock, ids }
    }

    /// Begins a conversation with what the changes say of it. Where the key was used for the same
    /// before, that conversation is given again, as it is by now.
    ///
    /// # Errors
    /// [`AppError::AlreadyDone`] where it was deleted since.
    pub async fn create(
        &self,
        actor: &Actor,
        about: ConversationChanges,
        key: Option<IdempotencyKey>,
    ) -> Result<Conversation, AppError> {
        actor.may(Permission::Chat)?;
        let now = self.clock.now();
        let making = Making::new(actor.user, KEY_ROUTE, key.as_ref(), now);
        if let Some(id) = making.made_before(&*self.keys).await? {
            return self.again(actor, ConversationId::from_uuid(id)).await;
        }
        let subject = Subject::default().with(&about).map_err(AppError::Invalid)?;
        check_shape(&*self.shapes, actor.user, subject.shape).await?;
        let conversation = Conversation::begin(
            ConversationId::from_uuid(self.ids.id()),
            self.ids.code(),
            actor.user,
            subject,
            now,
        );
        match self.repository.insert(conversation.clone(), making.new_key()).await? {
            None => Ok(conversation),
            Some(used) => {
                let id = making.made_by(used)?;
                self.again(actor, ConversationId::from_uuid(id)).await
            }
        }
    }

    async fn again(&self, actor: &Actor, id: ConversationId) -> Result<Conversation, AppError> {
        let made = self.repository.find(actor.user, id.into()).await?;
        made.ok_or(AppError::AlreadyDone)
    }

    pub async fn find(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
    ) -> Result<Conversation, AppError> {
        actor.may(Permission::Read)?;
        let found = self.repository.find(actor.user, conversation).await?;
        found.ok_or(AppError::CONVERSATION_NOT_FOUND)
    }

    /// Own conversations, newest activity first.
    pub async fn list(
        &self,
        actor: &Actor,
        filter: ConversationFilter,
        page: PageRequest<ConversationKey>,
    ) -> Result<Page<Conversation, ConversationKey>, AppError> {
        actor.may(Permission::Read)?;
        Ok(self.repository.list(actor.user, filter, page).await?)
    }

    /// Deletes the conversation and everything in it, for good. A reply that is being written
    /// stops: nobody can read it, and its tokens would be paid for.
    pub async fn delete(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
    ) -> Result<(), AppError> {
        actor.may(Permission::Chat)?;
        let conversation = self.find(actor, conversation).await?;
        // First, for whoever writes it elsewhere learns of it from what would be deleted.
        if let Some(generation) = self.turns.running(actor.user, conversation.id).await? {
            match self.replies.cancel(actor, generation).await {
                // Somebody else is deleting it.
                Ok(_) | Err(AppError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if self.repository.delete(actor.user, conversation.id, self.clock.now()).await? {
            Ok(())
        } else {
            Err(AppError::CONVERSATION_NOT_FOUND)
        }
    }
}

/// A key of a request about a conversation, whether that was named by its id or its code.
pub(crate) async fn key_about(
    conversations: &dyn ConversationRepository,
    owner: UserId,
    conversation: ConversationReference,
    key: Option<IdempotencyKey>,
) -> Result<Option<IdempotencyKey>, AppError> {
    let Some(key) = key else { return Ok(None) };
    let id = match conversation {
        Reference::Id(id) => id,
        Reference::Code(_) => {
            let found = conversations.find(owner, conversation).await?;
            found.ok_or(AppError::CONVERSATION_NOT_FOUND)?.id
        }
    };
    Ok(Some(key.about(id.as_uuid())))
}

/// What became of a conversation that takes no messages any more.
pub(crate) async fn why_closed(
    conversations: &dyn ConversationRepository,
    owner: UserId,
    conversation: ConversationId,
) -> AppError {
    match conversations.find(owner, conversation.into()).await {
        Ok(Some(conversation)) => match conversation.accept_message() {
            Err(closed) => closed.into(),
            // It was opened again meanwhile.
            Ok(()) => PortError::Stale.into(),
        },
        Ok(None) => AppError::CONVERSATION_NOT_FOUND,
        Err(error) => error.into(),
    }
}
