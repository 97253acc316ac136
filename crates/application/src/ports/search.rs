//! Finding what was said.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_domain::{
    ConversationCode, ConversationId, MessageId, UserId,
    messages::MessageRole,
    search::{Piece, Query},
};

use super::PortError;
use crate::{Page, PageRequest};

/// What hits are ordered by: the best first, the newer of equals first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchKey {
    pub score: f64,
    pub document: i64,
}

/// A message or a title that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub key: SearchKey,
    pub conversation: ConversationId,
    pub conversation_code: ConversationCode,
    pub conversation_title: Option<String>,
    /// `None` where the title was found.
    pub message: Option<(MessageId, MessageRole)>,
    pub snippet: Vec<Piece>,
    /// When the message was said, or the conversation begun.
    pub created_at: DateTime<Utc>,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait SearchIndex: Send + Sync {
    /// The owner's messages and titles that hold every phrase of the query, of one conversation
    /// where it is named; none where the query has no phrases. A title weighs more than a message. Of very many that hold its terms the
    /// newest are looked at, a thousand at least. What is deleted is not found any more; what is
    /// new is found once it is indexed.
    async fn search(
        &self,
        owner: UserId,
        query: Query,
        conversation: Option<ConversationId>,
        page: PageRequest<SearchKey>,
    ) -> Result<Page<Hit, SearchKey>, PortError>;

    /// Indexes messages that are not being written, and titles, that are not indexed as they are:
    /// at most so many, the oldest first. Answers how many there were; several processes may do so
    /// at once.
    async fn catch_up(&self, limit: u32) -> Result<u64, PortError>;
}
