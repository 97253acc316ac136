//! What was said.

mod feedback;

use std::str::FromStr;

use chrono::{DateTime, Utc};
use thiserror::Error;

use crate::{
    ConversationId, FieldError, GenerationId, MessageCode, MessageId, Text, Version,
    replies::{Cost, FinishReason, Usage},
};

pub use self::feedback::{Feedback, Rating};

/// Characters in one message. Larger texts are files.
pub const MAX_CONTENT: usize = 100_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: MessageId,
    pub code: MessageCode,
    pub conversation: ConversationId,
    /// The message that this one answers or follows. Without one it follows, in a conversation
    /// that nobody has branched, whatever was stored before it, and begins a branched one.
    pub parent: Option<MessageId>,
    pub role: MessageRole,
    pub content: String,
    pub status: MessageStatus,
    /// How a reply came about; `None` for what was not written by a model.
    pub writing: Option<Writing>,
    /// What its reader thinks of a reply.
    pub feedback: Option<Feedback>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: Version,
}

/// How a reply came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writing {
    /// `None` for what was written elsewhere.
    pub generation: Option<GenerationId>,
    /// The model that answered, or that was asked.
    pub model: String,
    pub usage: Option<Usage>,
    pub cost: Option<Cost>,
    /// From the question's being stored to the reply's end.
    pub latency_ms: Option<u32>,
    /// From the question's being stored to the first piece of text.
    pub first_token_ms: Option<u32>,
    pub finish_reason: Option<FinishReason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageRole {
    User,
    Assistant,
    System,
    Tool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageStatus {
    Complete,
    /// Being written.
    Streaming,
    Cancelled,
    Failed,
    Interrupted,
}

impl Message {
    /// A message that is complete as it comes in.
    pub fn said(
        id: MessageId,
        code: MessageCode,
        conversation: ConversationId,
        parent: Option<MessageId>,
        role: MessageRole,
        content: Text,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            code,
            conversation,
            parent,
            role,
            content: content.into_string(),
            status: MessageStatus::Complete,
            writing: None,
            feedback: None,
            created_at: now,
            updated_at: now,
            version: Version::FIRST,
        }
    }

    /// The empty reply that a model is about to fill.
    pub fn to_be_written(
        id: MessageId,
        code: MessageCode,
        question: &Self,
        generation: GenerationId,
        model: String,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            code,
            conversation: question.conversation,
            parent: Some(question.id),
            role: MessageRole::Assistant,
            content: String::new(),
            status: MessageStatus::Streaming,
            writing: Some(Writing::begun(generation, model)),
            feedback: None,
            created_at: now,
            updated_at: now,
            version: Version::FIRST,
        }
    }

    /// Checks a message's text on its way in.
    pub fn parse_content(content: String) -> Result<Text, FieldError> {
        Text::parse(content, MAX_CONTENT).map_err(|error| error.in_field("content"))
    }
}

impl Writing {
    pub fn begun(generation: GenerationId, model: String) -> Self {
        Self { generation: Some(generation), ..Self::elsewhere(model) }
    }

    /// By a model of another server: what it cost is none of ours.
    pub fn elsewhere(model: String) -> Self {
        Self {
            generation: None,
            model,
            usage: None,
            cost: None,
            latency_ms: None,
            first_token_ms: None,
            finish_reason: None,
        }
    }
}

impl MessageRole {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::System => "system",
            Self::Tool => "tool",
        }
    }
}

impl MessageStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Streaming => "streaming",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown name")]
pub struct UnknownName;

impl FromStr for MessageRole {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        [Self::User, Self::Assistant, Self::System, Self::Tool]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownName)
    }
}

impl FromStr for MessageStatus {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        [Self::Complete, Self::Streaming, Self::Cancelled, Self::Failed, Self::Interrupted]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or(UnknownName)
    }
}
