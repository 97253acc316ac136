//! What a conversation may be shaped by, and what it is given when it is met again.

use chrono::{DateTime, Utc};
use repartee_domain::{
    FieldError, UserId,
    conversations::{Conversation, ConversationChanges, Shape},
};

use super::MOST_TRIES;
use crate::{
    AppError,
    ports::{ChangeKind, ConversationRepository, PortError, ShapeRepository},
};

/// Whether a user may choose this shape. Of nothing nobody is asked.
pub(crate) async fn check_shape(
    shapes: &dyn ShapeRepository,
    user: UserId,
    asked: Shape,
) -> Result<(), AppError> {
    if asked.is_plain() {
        return Ok(());
    }
    let found = shapes.choosable(user, asked).await?;
    let mut errors = Vec::new();
    if found.persona != asked.persona {
        let detail = "must be the id of an active persona, or null";
        errors.push(FieldError::new("persona_id", "unknown", detail));
    }
    if found.project != asked.project {
        let detail = "must be the id of a project that you are a member of, or null";
        errors.push(FieldError::new("project_id", "unknown", detail));
    }
    if errors.is_empty() { Ok(()) } else { Err(AppError::Invalid(errors)) }
}

/// A conversation with another persona, where a client that means it by its id names one.
pub(crate) async fn with_shape(
    conversations: &dyn ConversationRepository,
    shapes: &dyn ShapeRepository,
    mut conversation: Conversation,
    about: &ConversationChanges,
    now: DateTime<Utc>,
) -> Result<Conversation, AppError> {
    let named = about.persona.filter(Option::is_some);
    let changes = ConversationChanges { persona: named, ..ConversationChanges::default() };
    for _ in 0..MOST_TRIES {
        let (owner, id) = (conversation.owner, conversation.id);
        let before = conversation.subject.shape;
        if !conversation.change(changes.clone(), now).map_err(AppError::Invalid)? {
            return Ok(conversation);
        }
        check_shape(shapes, owner, conversation.subject.shape.since(before)).await?;
        match conversations.save(conversation, ChangeKind::ConversationUpdated).await {
            Err(PortError::Stale) => {
                let found = conversations.find(owner, id.into()).await?;
                conversation = found.ok_or(AppError::CONVERSATION_NOT_FOUND)?;
            }
            saved => return Ok(saved?),
        }
    }
    Err(PortError::Stale.into())
}
