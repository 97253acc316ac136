//! Conversations that were brought from elsewhere.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_domain::{conversations::Conversation, messages::Message};

use super::{NewKey, PortError, UsedKey};

/// A conversation with everything that was said in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    pub conversation: Conversation,
    /// In the order of their ids.
    pub messages: Vec<Message>,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait TransferRepository: Send + Sync {
    /// Stores it with its key and tells its owner's feed of the conversation, in one commit. Gives
    /// what the key was used for before: nothing is stored then.
    async fn insert(
        &self,
        brought: Brought,
        key: Option<NewKey>,
        now: DateTime<Utc>,
    ) -> Result<Option<UsedKey>, PortError>;
}
