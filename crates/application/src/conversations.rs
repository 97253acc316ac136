//! Everything a user can do to a conversation as a whole.

mod change;

use std::sync::Arc;

use repartee_domain::{
    ConversationId,
    conversations::{Conversation, ConversationChanges, Subject},
};

use crate::{
    Actor, AppError, Page, PageRequest,
    ports::{
        Clock, ConversationFilter, ConversationKey, ConversationReference, ConversationRepository,
        GenerationLog, IdGenerator, TurnRepository,
    },
};

pub struct ConversationService {
    repository: Arc<dyn ConversationRepository>,
    turns: Arc<dyn TurnRepository>,
    log: Arc<dyn GenerationLog>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
}

impl ConversationService {
    pub fn new(
        repository: Arc<dyn ConversationRepository>,
        turns: Arc<dyn TurnRepository>,
        log: Arc<dyn GenerationLog>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
    ) -> Self {
        Self { repository, turns, log, clock, ids }
    }

    /// Begins a conversation with what the changes say of it.
    pub async fn create(
        &self,
        actor: &Actor,
        about: ConversationChanges,
    ) -> Result<Conversation, AppError> {
        let subject = Subject::default().with(&about).map_err(AppError::Invalid)?;
        let conversation = Conversation::begin(
            ConversationId::from_uuid(self.ids.id()),
            self.ids.code(),
            actor.user,
            subject,
            self.clock.now(),
        );
        self.repository.insert(conversation.clone()).await?;
        Ok(conversation)
    }

    pub async fn find(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
    ) -> Result<Conversation, AppError> {
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
        Ok(self.repository.list(actor.user, filter, page).await?)
    }

    /// Deletes the conversation and everything in it, for good. A reply that is being written
    /// stops: nobody can read it, and its tokens would be paid for.
    pub async fn delete(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
    ) -> Result<(), AppError> {
        let conversation = self.find(actor, conversation).await?;
        let running = self.turns.running(actor.user, conversation.id).await?;
        if !self.repository.delete(actor.user, conversation.id).await? {
            return Err(AppError::CONVERSATION_NOT_FOUND);
        }
        if let Some(generation) = running {
            self.log.cancel(generation).await?;
        }
        Ok(())
    }
}
