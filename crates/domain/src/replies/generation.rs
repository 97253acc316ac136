//! A reply being written, as a state machine.
//!
//! ```text
//! queued → streaming → completed | cancelled | failed | interrupted
//! ```
//!
//! A [`Generation`] is only ever running: ending it consumes it and gives an [`Ended`], which
//! nothing can run again, so that there is exactly one end.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;

use super::{Price, Usage};
use crate::{
    ApiKeyId, ConversationId, GenerationId, MessageId, UserId,
    messages::{Message, MessageStatus, Writing},
};

/// A reply that is being written or about to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    pub id: GenerationId,
    pub owner: UserId,
    /// The key that asked for it.
    pub api_key: Option<ApiKeyId>,
    pub conversation: ConversationId,
    /// The question.
    pub user_message: MessageId,
    /// The reply.
    pub message: MessageId,
    /// The model that was asked for, by its name here.
    pub model: String,
    pub created_at: DateTime<Utc>,
}

/// How a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Completed(FinishReason),
    /// Somebody asked for it.
    Cancelled,
    Failed(Failure),
    /// The process that wrote it went away.
    Interrupted,
}

/// Why the model stopped, in the words of OpenAI's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FinishReason {
    Stop,
    /// The reply reached its token limit.
    Length,
    ContentFilter,
    ToolCalls,
}

/// Why there is no whole reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Failure {
    #[error("the model failed")]
    ModelFailed,
    #[error("the model refused the request")]
    ModelRejected,
    #[error("the model did not begin to answer in time")]
    FirstTokenTimeout,
    #[error("the model stopped sending in the middle of its answer")]
    IdleTimeout,
    #[error("the answer took longer than it may")]
    TotalTimeout,
    #[error("no model is available")]
    ModelUnavailable,
    #[error("an internal error ended the reply")]
    Internal,
}

/// As it is stored and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GenerationState {
    Queued,
    Streaming,
    Completed,
    Cancelled,
    Failed,
    Interrupted,
}

/// A generation that is over, with the reply as it is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub generation: Generation,
    pub reply: Message,
    pub outcome: Outcome,
    /// How often models were asked.
    pub attempts: u32,
}

/// What the writing of a reply came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub text: String,
    /// The model that answered, by its name here.
    pub model: String,
    pub usage: Usage,
    pub price: Price,
    pub first_token_at: Option<DateTime<Utc>>,
    pub attempts: u32,
}

impl Generation {
    /// Ends the reply. What was written is kept, however it ended.
    pub fn end(
        self,
        draft: Message,
        outcome: Outcome,
        written: Written,
        now: DateTime<Utc>,
    ) -> Ended {
        let since_question = |at: DateTime<Utc>| milliseconds(at - self.created_at);
        let reply = Message {
            content: written.text,
            status: outcome.message_status(),
            writing: Some(Writing {
                generation: Some(self.id),
                model: written.model,
                usage: Some(written.usage),
                cost: Some(written.price.of(written.usage)),
                latency_ms: Some(since_question(now)),
                first_token_ms: written.first_token_at.map(since_question),
                finish_reason: outcome.finish_reason(),
            }),
            updated_at: now,
            version: draft.version.next(),
            ..draft
        };
        Ended { generation: self, reply, outcome, attempts: written.attempts }
    }
}

/// A clock that was set back gives 0, not a wrapped number.
fn milliseconds(span: TimeDelta) -> u32 {
    u32::try_from(span.num_milliseconds().max(0)).unwrap_or(u32::MAX)
}

impl Outcome {
    pub const fn message_status(self) -> MessageStatus {
        match self {
            Self::Completed(_) => MessageStatus::Complete,
            Self::Cancelled => MessageStatus::Cancelled,
            Self::Failed(_) => MessageStatus::Failed,
            Self::Interrupted => MessageStatus::Interrupted,
        }
    }

    pub const fn finish_reason(self) -> Option<FinishReason> {
        match self {
            Self::Completed(reason) => Some(reason),
            Self::Cancelled | Self::Failed(_) | Self::Interrupted => None,
        }
    }

    pub const fn state(self) -> GenerationState {
        match self {
            Self::Completed(_) => GenerationState::Completed,
            Self::Cancelled => GenerationState::Cancelled,
            Self::Failed(_) => GenerationState::Failed,
            Self::Interrupted => GenerationState::Interrupted,
        }
    }
}

impl FinishReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
            Self::ToolCalls => "tool_calls",
        }
    }
}

impl Failure {
    /// Stable and machine-readable.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ModelFailed => "model_failed",
            Self::ModelRejected => "model_rejected",
            Self::FirstTokenTimeout => "model_timeout",
            Self::IdleTimeout => "model_idle_timeout",
            Self::TotalTimeout => "model_total_timeout",
            Self::ModelUnavailable => "model_unavailable",
            Self::Internal => "internal",
        }
    }

    pub fn from_code(code: &str) -> Option<Self> {
        [
            Self::ModelFailed,
            Self::ModelRejected,
            Self::FirstTokenTimeout,
            Self::IdleTimeout,
            Self::TotalTimeout,
            Self::ModelUnavailable,
            Self::Internal,
        ]
        .into_iter()
        .find(|failure| failure.code() == code)
    }
}

impl GenerationState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Streaming => "streaming",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Streaming)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown name")]
pub struct UnknownName;

impl FromStr for GenerationState {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        use GenerationState::{Cancelled, Completed, Failed, Interrupted, Queued, Streaming};
        [Queued, Streaming, Completed, Cancelled, Failed, Interrupted]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(UnknownName)
    }
}

impl FromStr for FinishReason {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        [Self::Stop, Self::Length, Self::ContentFilter, Self::ToolCalls]
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or(UnknownName)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{Text, messages::MessageRole};

    const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);

    fn generation() -> (Generation, Message) {
        let conversation = ConversationId::from_uuid(Uuid::from_u128(1));
        let question = Message::said(
            MessageId::from_uuid(Uuid::from_u128(2)),
            "AAAAAAAAA2".parse().unwrap(),
            conversation,
            None,
            MessageRole::User,
            Text::parse("Why?".into(), 10).unwrap(),
            NOW,
        );
        let reply = Message::to_be_written(
            MessageId::from_uuid(Uuid::from_u128(3)),
            "AAAAAAAAA3".parse().unwrap(),
            &question,
            GenerationId::from_uuid(Uuid::from_u128(4)),
            "small".into(),
            NOW,
        );
        let generation = Generation {
            id: GenerationId::from_uuid(Uuid::from_u128(4)),
            owner: UserId::from_uuid(Uuid::from_u128(5)),
            api_key: None,
            conversation,
            user_message: question.id,
            message: reply.id,
            model: "small".into(),
            created_at: NOW,
        };
        (generation, reply)
    }

    fn written(text: &str) -> Written {
        Written {
            text: text.into(),
            model: "small".into(),
            usage: Usage { prompt_tokens: 10, completion_tokens: 2, estimated: false },
            price: Price { input: 1000, output: 2000 },
            first_token_at: Some(NOW + TimeDelta::milliseconds(40)),
            attempts: 2,
        }
    }

    #[test]
    fn a_completed_reply_says_what_it_took() {
        let (generation, draft) = generation();

        let ended = generation.end(
            draft,
            Outcome::Completed(FinishReason::Stop),
            written("Because."),
            NOW + TimeDelta::milliseconds(90),
        );

        assert_eq!(ended.reply.content, "Because.");
        assert_eq!(ended.reply.status, MessageStatus::Complete);
        let writing = ended.reply.writing.unwrap();
        assert_eq!((writing.first_token_ms, writing.latency_ms), (Some(40), Some(90)));
        assert_eq!(writing.cost.unwrap().0, 14);
        assert_eq!(writing.finish_reason, Some(FinishReason::Stop));
    }

    #[test]
    fn what_was_written_is_kept_however_it_ends() {
        for outcome in
            [Outcome::Cancelled, Outcome::Failed(Failure::IdleTimeout), Outcome::Interrupted]
        {
            let (generation, draft) = generation();
            let ended = generation.end(draft, outcome, written("Half"), NOW);
            assert_eq!(ended.reply.content, "Half");
            assert_eq!(ended.reply.writing.unwrap().finish_reason, None);
            assert!(ended.outcome.state().is_over());
        }
    }

    #[test]
    fn a_clock_that_was_set_back_gives_zero() {
        let (generation, draft) = generation();
        let earlier = NOW - TimeDelta::hours(1);
        let ended = generation.end(draft, Outcome::Cancelled, written(""), earlier);
        assert_eq!(ended.reply.writing.unwrap().latency_ms, Some(0));
    }
}
