//! Finding what was said, among one's own messages and titles.

mod indexer;

use std::sync::Arc;

use repartee_domain::search::Query;

pub use self::indexer::Indexer;
use crate::{
    Actor, AppError, Page, PageRequest, Permission,
    ports::{ConversationReference, ConversationRepository, Hit, SearchIndex, SearchKey},
};

pub struct SearchService {
    conversations: Arc<dyn ConversationRepository>,
    index: Arc<dyn SearchIndex>,
}

impl SearchService {
    pub fn new(
        conversations: Arc<dyn ConversationRepository>,
        index: Arc<dyn SearchIndex>,
    ) -> Self {
        Self { conversations, index }
    }

    /// The best first. Archived and ended conversations are searched as well.
    pub async fn search(
        &self,
        actor: &Actor,
        text: String,
        conversation: Option<ConversationReference>,
        page: PageRequest<SearchKey>,
    ) -> Result<Page<Hit, SearchKey>, AppError> {
        actor.may(Permission::Read)?;
        let query = Query::parse(text).map_err(AppError::invalid)?;
        let conversation = match conversation {
            Some(reference) => {
                let found = self.conversations.find(actor.user, reference).await?;
                Some(found.ok_or(AppError::CONVERSATION_NOT_FOUND)?.id)
            }
            None => None,
        };
        Ok(self.index.search(actor.user, query, conversation, page).await?)
    }
}
