//! Conversations as files, both ways.

mod import;

use std::sync::{Arc, Mutex};

use repartee_domain::{
    ConversationId, MessageId, UserId, conversations::Conversation, messages::Message,
};
use tokio::sync::Semaphore;

pub use self::import::{Entry, Import, Imported, Permit, Skipped};
use crate::{
    Actor, AppError, Order, Page, PageRequest, Permission,
    ports::{
        Branch, Clock, ConversationReference, ConversationRepository, IdGenerator, IdempotencyKeys,
        MessageRepository, TransferRepository,
    },
};

/// Messages of an export that are in memory at once.
const PORTION: u32 = 64;
/// Files that are in memory at once, in all and of one user.
const IMPORTS_AT_ONCE: usize = 8;
const IMPORTS_OF_A_USER: usize = 2;

pub struct TransferService {
    ports: TransferPorts,
    permits: Arc<Semaphore>,
    /// Whose files are in memory, or wait for that.
    importing: Arc<Mutex<Vec<UserId>>>,
}

pub struct TransferPorts {
    pub conversations: Arc<dyn ConversationRepository>,
    pub messages: Arc<dyn MessageRepository>,
    pub transfers: Arc<dyn TransferRepository>,
    pub keys: Arc<dyn IdempotencyKeys>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
}

impl TransferService {
    pub fn new(ports: TransferPorts) -> Self {
        let permits = Arc::new(Semaphore::new(IMPORTS_AT_ONCE));
        Self { ports, permits, importing: Arc::default() }
    }

    /// A conversation to export, with the first of its messages; [`TransferService::export_on`]
    /// gives the others.
    pub async fn export(
        &self,
        actor: &Actor,
        conversation: ConversationReference,
        branch: Branch,
    ) -> Result<(Conversation, Page<Message, MessageId>), AppError> {
        actor.may(Permission::Export)?;
        let found = self.ports.conversations.find(actor.user, conversation).await?;
        let conversation = found.ok_or(AppError::CONVERSATION_NOT_FOUND)?;
        let first = self.portion(actor, conversation.id, branch, None).await?;
        Ok((conversation, first))
    }

    /// The next messages, oldest first.
    pub async fn export_on(
        &self,
        actor: &Actor,
        conversation: ConversationId,
        branch: Branch,
        after: MessageId,
    ) -> Result<Page<Message, MessageId>, AppError> {
        actor.may(Permission::Export)?;
        self.portion(actor, conversation, branch, Some(after)).await
    }

    async fn portion(
        &self,
        actor: &Actor,
        conversation: ConversationId,
        branch: Branch,
        after: Option<MessageId>,
    ) -> Result<Page<Message, MessageId>, AppError> {
        let page = PageRequest { limit: PORTION, after };
        let (order, messages) = (Order::Ascending, &self.ports.messages);
        let page = messages.list(actor.user, conversation.into(), branch, order, page).await?;
        page.ok_or(AppError::CONVERSATION_NOT_FOUND)
    }
}
