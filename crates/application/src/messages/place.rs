//! Where a new message goes in its conversation.

use repartee_domain::{
    FieldError, MessageId, UserId,
    conversations::{Branching, Conversation},
    messages::Message,
};

use crate::{
    AppError,
    ports::{
        ConversationReference, ConversationRepository, HistoryFrom, MessageReference,
        MessageRepository, Place, PortError, TurnRepository,
    },
};

/// How often a place is looked for. Only who talks in the same conversation from elsewhere makes it
/// more than once.
pub(crate) const MOST_TRIES: u32 = 5;

/// The place of a message, as a client means it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Spot {
    /// After everything in the newest branch.
    End,
    After(MessageId),
    /// Where this one is, as a branch of its own.
    Beside(MessageId),
    /// Where it is: it is stored already, and is to be answered.
    At(MessageId),
}

/// A spot in a conversation as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    /// What was said before it; `None` for nothing.
    pub(crate) past: Option<HistoryFrom>,
    pub(crate) place: Place,
    pub(crate) parent: Option<MessageId>,
}

/// One message of a conversation.
pub(crate) async fn find_in(
    conversations: &dyn ConversationRepository,
    messages: &dyn MessageRepository,
    owner: UserId,
    conversation: ConversationReference,
    message: MessageReference,
) -> Result<Message, AppError> {
    if let Some(message) = messages.find_in(owner, conversation, message).await? {
        return Ok(message);
    }
    let conversation = conversations.find(owner, conversation).await?;
    Err(conversation.map_or(AppError::CONVERSATION_NOT_FOUND, |_| AppError::MESSAGE_NOT_FOUND))
}

impl Spot {
    /// After the message that a client names, where it names one.
    pub(crate) async fn named(
        conversations: &dyn ConversationRepository,
        messages: &dyn MessageRepository,
        owner: UserId,
        conversation: ConversationReference,
        parent: Option<MessageReference>,
    ) -> Result<Self, AppError> {
        let Some(parent) = parent else { return Ok(Self::End) };
        match find_in(conversations, messages, owner, conversation, parent).await {
            Ok(parent) => Ok(Self::After(parent.id)),
            Err(AppError::NotFound { resource: "message" }) => {
                let detail = "must be the id of a message of this conversation";
                Err(AppError::invalid(FieldError::new("parent_id", "unknown", detail)))
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn find(
        self,
        turns: &dyn TurnRepository,
        conversation: &Conversation,
    ) -> Result<Found, PortError> {
        let read = |from, limit| turns.history(conversation.owner, conversation.id, from, limit);
        let (follows, is_at_end, seen) = match self {
            Self::End if !conversation.is_branched => {
                let past = Some(HistoryFrom::End);
                return Ok(Found { past, place: Place::LINEAR, parent: None });
            }
            Self::End => {
                let end = read(HistoryFrom::End, 1).await?;
                (end.messages.first().map(|message| message.id), true, Some(end.seen))
            }
            Self::After(message) => {
                let end = read(HistoryFrom::End, 1).await?;
                let is_end = end.messages.first().is_some_and(|last| last.id == message);
                // What comes after anything else does so whatever is said elsewhere.
                (Some(message), is_end, is_end.then_some(end.seen))
            }
            Self::Beside(message) | Self::At(message) => {
                let mut past = read(HistoryFrom::End, 2).await?;
                let is_end = past.messages.first().is_some_and(|last| last.id == message);
                if !is_end {
                    past = read(HistoryFrom::At(message), 2).await?;
                }
                let follows = past.messages.get(1).map(|before| before.id);
                (follows, is_end && matches!(self, Self::At(_)), Some(past.seen))
            }
        };
        let branching = conversation.branching(is_at_end);
        let parent = follows.filter(|_| branching != Branching::Linear);
        let past = follows.map(HistoryFrom::At);
        Ok(Found { past, place: Place { branching, seen }, parent })
    }
}
