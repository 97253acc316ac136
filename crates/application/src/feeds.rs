//! What a user's devices are told: one feed over everything of theirs.
//!
//! Changes are stored in the commits that make them, and are read from there. The text of replies
//! that are being written comes from their logs; a cursor says how far each of them was read, so
//! that nothing is lost or told twice wherever a stream was cut.

mod cursor;
mod reader;

use std::sync::Arc;

use futures::stream::BoxStream;
use repartee_domain::ConversationId;

pub use self::cursor::FeedCursor;
use self::reader::Reader;
use crate::{
    Actor, AppError, Permission,
    ports::{
        Change, ConversationReference, ConversationRepository, FeedLog, LoggedEvent, TurnRepository,
    },
    replies::ReplyService,
};

#[derive(Clone)]
pub struct FeedService {
    ports: Arc<FeedPorts>,
}

pub struct FeedPorts {
    pub feed: Arc<dyn FeedLog>,
    pub conversations: Arc<dyn ConversationRepository>,
    pub turns: Arc<dyn TurnRepository>,
    pub replies: ReplyService,
}

/// What is told, and where to go on after it.
#[derive(Debug)]
pub struct FeedEvent {
    pub cursor: FeedCursor,
    /// `None` for what belongs to no conversation.
    pub conversation: Option<ConversationId>,
    pub item: FeedItem,
}

#[derive(Debug)]
pub enum FeedItem {
    Change(Change),
    /// Text of a reply that is being written.
    Delta(Arc<LoggedEvent>),
    /// What came after the cursor is not known any more: load everything anew. It goes on from
    /// here.
    Reset,
}

/// A feed from where it was asked for. It ends when its conversation is deleted, or when it cannot
/// be read; otherwise never.
pub struct Feed {
    /// Where it begins.
    pub cursor: FeedCursor,
    pub events: BoxStream<'static, FeedEvent>,
}

impl FeedService {
    pub fn new(ports: FeedPorts) -> Self {
        Self { ports: Arc::new(ports) }
    }

    /// What happened after the cursor and what happens from now on, of one conversation where it
    /// is named. Without a cursor it starts now; replies that are being written belong to now, and
    /// are told from their beginning.
    pub async fn subscribe(
        &self,
        actor: &Actor,
        conversation: Option<ConversationReference>,
        cursor: Option<FeedCursor>,
    ) -> Result<Feed, AppError> {
        actor.may(Permission::Read)?;
        let conversation = match conversation {
            Some(reference) => {
                let found = self.ports.conversations.find(actor.user, reference).await?;
                Some(found.ok_or(AppError::CONVERSATION_NOT_FOUND)?.id)
            }
            None => None,
        };
        let reader = Reader::start(self.ports.clone(), actor.clone(), conversation, cursor).await?;
        Ok(Feed { cursor: reader.cursor(), events: reader.into_stream() })
    }
}
