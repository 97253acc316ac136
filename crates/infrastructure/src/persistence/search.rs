//! The index of what was said: FTS5 on SQLite, `tsvector` with GIN on PostgreSQL.
//!
//! Both hold the terms that the domain makes of a text, so that both find the same.

mod expression;
mod indexing;
mod reading;

use async_trait::async_trait;
use repartee_application::{
    Page, PageRequest,
    ports::{Hit, PortError, SearchIndex, SearchKey},
};
use repartee_domain::{ConversationId, UserId, search::Query};

use super::Database;

pub struct SeaSearchIndex {
    db: Database,
}

impl SeaSearchIndex {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl SearchIndex for SeaSearchIndex {
    async fn search(
        &self,
        owner: UserId,
        query: Query,
        conversation: Option<ConversationId>,
        page: PageRequest<SearchKey>,
    ) -> Result<Page<Hit, SearchKey>, PortError> {
        reading::search(&self.db, owner, query, conversation, page).await
    }

    async fn catch_up(&self, limit: u32) -> Result<u64, PortError> {
        let messages = indexing::messages(&self.db, limit).await?;
        let titles = indexing::titles(&self.db, limit).await?;
        Ok(messages.max(titles))
    }
}
