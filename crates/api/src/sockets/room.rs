//! The conversation that a socket is joined to, and what other devices do there.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use repartee_application::{
    Actor, AppError,
    feeds::{FeedEvent, FeedItem},
    ports::{Change, ConversationReference},
};
use repartee_domain::{
    ConversationId, GenerationId, MessageId,
    conversations::{Conversation, ConversationStatusName},
};

use super::{closing::Closing, frames, services::SocketServices};

/// What was told lately: a feed may be a little behind.
const REMEMBERED: usize = 64;

pub(crate) struct Room {
    pub(super) id: ConversationId,
    feed: BoxStream<'static, FeedEvent>,
    is_ended: bool,
    /// What this socket asked itself.
    questions: VecDeque<MessageId>,
    /// The replies that it tells or told.
    replies: VecDeque<GenerationId>,
}

/// What another device did comes to.
pub(super) enum News {
    Nothing,
    Say(Bytes),
    /// A reply that somebody else asked for.
    Follow(GenerationId),
    Over(Closing),
}

impl Room {
    pub(super) async fn join(
        services: &SocketServices,
        actor: &Actor,
        conversation: ConversationReference,
    ) -> Result<Self, AppError> {
        let conversation = services.conversations.find(actor, conversation).await?;
        let feed = services.feeds.subscribe(actor, Some(conversation.id.into()), None).await?;
        Ok(Self {
            id: conversation.id,
            feed: feed.events,
            is_ended: is_ended(&conversation),
            questions: VecDeque::new(),
            replies: VecDeque::new(),
        })
    }

    /// This socket asked something.
    pub(super) fn asked(&mut self, question: MessageId) {
        remember(&mut self.questions, question);
    }

    /// This socket tells a reply.
    pub(super) fn tells(&mut self, reply: GenerationId) {
        remember(&mut self.replies, reply);
    }

    /// This socket ended the conversation.
    pub(super) fn ended(&mut self) {
        self.is_ended = true;
    }

    pub(super) async fn next(&mut self) -> News {
        match self.feed.next().await {
            Some(event) => self.take(event),
            None => News::Over(Closing::try_later()),
        }
    }

    fn take(&mut self, event: FeedEvent) -> News {
        let change = match event.item {
            FeedItem::Change(change) => change,
            // The socket tells its replies itself.
            FeedItem::Delta(_) => return News::Nothing,
            // What happened is not known any more: whoever joins anew loads it first.
            FeedItem::Reset => return News::Over(Closing::try_later()),
        };
        match change {
            Change::MessageCreated(message) if !self.questions.contains(&message.id) => {
                News::Say(frames::message_created(&message))
            }
            Change::GenerationStarted(generation) if !self.replies.contains(&generation.id) => {
                News::Follow(generation.id)
            }
            Change::ConversationUpdated(conversation) => {
                let was_ended = std::mem::replace(&mut self.is_ended, is_ended(&conversation));
                if self.is_ended && !was_ended {
                    News::Say(frames::conversation_ended(self.id))
                } else {
                    News::Nothing
                }
            }
            Change::ConversationDeleted => {
                News::Over(Closing::done("the conversation was deleted"))
            }
            _ => News::Nothing,
        }
    }
}

fn is_ended(conversation: &Conversation) -> bool {
    conversation.status.name() == ConversationStatusName::Ended
}

fn remember<T>(known: &mut VecDeque<T>, new: T) {
    known.truncate(REMEMBERED - 1);
    known.push_front(new);
}
