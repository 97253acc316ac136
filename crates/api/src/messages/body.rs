//! What a message looks like on the wire.

use chrono::{DateTime, Utc};
use repartee_application::{
    ports::MessageReference,
    replies::{NewMessage, ReplyOptions},
};
use repartee_domain::{
    messages::{Feedback, Message},
    replies::Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::time::rfc3339;

#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"content": "Which tea keeps me awake?"}))]
pub(crate) struct NewMessageBody {
    pub(crate) content: String,
    /// False: store the message and have nobody answer it.
    pub(crate) reply: Option<bool>,
    /// `user`; another role is stored only, for imports.
    pub(crate) role: Option<String>,
    pub(crate) model: Option<String>,
    /// 0 to 2.
    pub(crate) temperature: Option<f32>,
    /// The longest reply, in tokens.
    pub(crate) max_tokens: Option<u32>,
    /// The message that this one follows, by its id or code; the newest where it is left out.
    /// Another one makes a branch.
    pub(crate) parent_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"content": "Which tea lets me sleep?"}))]
pub(crate) struct EditBody {
    /// The question in other words.
    pub(crate) content: String,
    /// False: store it and have nobody answer it.
    pub(crate) reply: Option<bool>,
    pub(crate) model: Option<String>,
    /// 0 to 2.
    pub(crate) temperature: Option<f32>,
    /// The longest reply, in tokens.
    pub(crate) max_tokens: Option<u32>,
}

/// How to answer anew: as the conversation would, where it says nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"temperature": 0.9}))]
pub(crate) struct RegenerateBody {
    pub(crate) model: Option<String>,
    /// 0 to 2.
    pub(crate) temperature: Option<f32>,
    /// The longest reply, in tokens.
    pub(crate) max_tokens: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageBody<'a> {
    id: Uuid,
    /// 10 characters.
    code: String,
    conversation_id: Uuid,
    /// The message that this one answers or follows. Null for a question that follows whatever was
    /// stored before it, or begins the conversation.
    parent_id: Option<Uuid>,
    /// `user`, `assistant`, `system` or `tool`.
    role: &'static str,
    /// Null where it was left out.
    content: Option<&'a str>,
    /// In feeds and on sockets: the content is too long for an event.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    content_omitted: bool,
    /// `complete`, `streaming`, `cancelled`, `failed` or `interrupted`.
    status: &'static str,
    #[serde(serialize_with = "rfc3339")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "rfc3339")]
    updated_at: DateTime<Utc>,
    #[serde(flatten)]
    writing: Option<WritingBody<'a>>,
    /// What you think of a reply, once you said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    feedback: Option<FeedbackBody<'a>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeedbackBody<'a> {
    /// `up` or `down`.
    #[schema(example = "up")]
    rating: &'static str,
    #[schema(example = "Just what I needed")]
    comment: Option<&'a str>,
    #[serde(serialize_with = "rfc3339")]
    updated_at: DateTime<Utc>,
}

/// How a reply came about. Only replies have these fields.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WritingBody<'a> {
    /// Null for what was written elsewhere.
    #[schema(required = false)]
    generation_id: Option<Uuid>,
    #[schema(required = false)]
    model: &'a str,
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
    tokens_used: Option<u32>,
    /// Counted here, because the provider gave no figures.
    is_usage_estimated: Option<bool>,
    /// Millionths of the price list's currency.
    cost_micros: Option<i64>,
    latency_ms: Option<u32>,
    first_token_ms: Option<u32>,
    finish_reason: Option<&'static str>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageBody {
    #[schema(example = 21)]
    prompt_tokens: u32,
    #[schema(example = 64)]
    completion_tokens: u32,
    #[schema(example = 85)]
    total_tokens: u32,
    /// Counted here, because the provider gave no figures.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
}

/// A whole turn. Its parts are what the stream's last event holds.
#[derive(Serialize, ToSchema)]
pub(crate) struct TurnBody<'a> {
    #[schema(inline)]
    pub(crate) message: MessageBody<'a>,
    #[schema(value_type = MessageBody)]
    pub(crate) reply: &'a RawValue,
    #[schema(value_type = UsageBody)]
    pub(crate) usage: &'a RawValue,
}

/// A message that nobody answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct StoredBody<'a> {
    #[schema(inline)]
    pub(crate) message: MessageBody<'a>,
    pub(crate) reply: Option<()>,
    pub(crate) usage: Option<()>,
}

impl NewMessageBody {
    pub(crate) fn message(self, parent: Option<MessageReference>) -> NewMessage {
        let Self { content, model, temperature, max_tokens, .. } = self;
        NewMessage { content, parent, options: ReplyOptions { model, temperature, max_tokens } }
    }
}

impl From<RegenerateBody> for ReplyOptions {
    fn from(body: RegenerateBody) -> Self {
        let RegenerateBody { model, temperature, max_tokens } = body;
        Self { model, temperature, max_tokens }
    }
}

impl<'a> From<&'a Message> for MessageBody<'a> {
    fn from(message: &'a Message) -> Self {
        let writing = message.writing.as_ref().map(|writing| WritingBody {
            generation_id: writing.generation.map(repartee_domain::GenerationId::as_uuid),
            model: &writing.model,
            prompt_tokens: writing.usage.map(|usage| usage.prompt_tokens),
            completion_tokens: writing.usage.map(|usage| usage.completion_tokens),
            tokens_used: writing.usage.map(Usage::total_tokens),
            is_usage_estimated: writing.usage.map(|usage| usage.estimated),
            cost_micros: writing.cost.map(|cost| cost.0),
            latency_ms: writing.latency_ms,
            first_token_ms: writing.first_token_ms,
            finish_reason: writing
                .finish_reason
                .map(repartee_domain::replies::FinishReason::as_str),
        });
        Self {
            id: message.id.as_uuid(),
            code: message.code.to_string(),
            conversation_id: message.conversation.as_uuid(),
            parent_id: message.parent.map(repartee_domain::MessageId::as_uuid),
            role: message.role.as_str(),
            content: Some(&message.content),
            content_omitted: false,
            status: message.status.as_str(),
            created_at: message.created_at,
            updated_at: message.updated_at,
            writing,
            feedback: message.feedback.as_ref().map(FeedbackBody::from),
        }
    }
}

impl<'a> From<&'a Feedback> for FeedbackBody<'a> {
    fn from(feedback: &'a Feedback) -> Self {
        Self {
            rating: feedback.rating.as_str(),
            comment: feedback.comment.as_deref(),
            updated_at: feedback.at,
        }
    }
}

impl MessageBody<'_> {
    /// For readers to whom a long text is sent only when they ask for it.
    pub(crate) fn omit_content(&mut self) {
        self.content = None;
        self.content_omitted = true;
    }
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.total_tokens(),
            estimated: usage.estimated,
        }
    }
}
