//! What a conversation looks like on the wire.

use chrono::{DateTime, Utc};
use repartee_domain::{
    PersonaId, ProjectId,
    conversations::{
        Conversation, ConversationChanges, ConversationStatus, ConversationStatusName,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    ApiError,
    body::{nullable, object_text},
    time::{rfc3339, rfc3339_option},
};

#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"title": "Tea", "system_message": "You know everything about tea."}))]
pub(crate) struct NewConversationBody {
    title: Option<String>,
    /// Instructions for the model, beside the operator's.
    system_message: Option<String>,
    /// An active persona, whose instructions go before.
    persona_id: Option<i64>,
    /// A project that one is a member of: its active prompts come after the persona's.
    project_id: Option<i64>,
    /// The model that replies, where a message names none.
    model: Option<String>,
    /// An object of the client's own.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"title": "Green tea", "status": "archived"}))]
pub(crate) struct ChangeConversationBody {
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    title: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    system_message: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<i64>)]
    persona_id: Option<Option<i64>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<i64>)]
    project_id: Option<Option<i64>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    model: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Option<Map<String, Value>>>,
    /// `active`, `ended` or `archived`.
    status: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversationBody {
    id: Uuid,
    /// 12 characters; takes the place of the id in paths.
    code: String,
    title: Option<String>,
    /// `active`, `ended` or `archived`.
    status: &'static str,
    system_message: Option<String>,
    persona_id: Option<i64>,
    project_id: Option<i64>,
    model: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Box<RawValue>>,
    #[serde(serialize_with = "rfc3339_option")]
    last_message_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "rfc3339_option")]
    ended_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "rfc3339")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "rfc3339")]
    updated_at: DateTime<Utc>,
}

impl TryFrom<NewConversationBody> for ConversationChanges {
    type Error = ApiError;

    fn try_from(body: NewConversationBody) -> Result<Self, ApiError> {
        Ok(Self {
            title: Some(body.title),
            system_message: Some(body.system_message),
            model: Some(body.model),
            metadata: Some(metadata_text(body.metadata)?),
            persona: Some(body.persona_id.map(PersonaId::new)),
            project: Some(body.project_id.map(ProjectId::new)),
            status: None,
        })
    }
}

impl TryFrom<ChangeConversationBody> for ConversationChanges {
    type Error = ApiError;

    fn try_from(body: ChangeConversationBody) -> Result<Self, ApiError> {
        let status = body.status.as_deref().map(str::parse::<ConversationStatusName>).transpose();
        Ok(Self {
            title: body.title,
            system_message: body.system_message,
            model: body.model,
            metadata: body.metadata.map(metadata_text).transpose()?,
            persona: body.persona_id.map(|id| id.map(PersonaId::new)),
            project: body.project_id.map(|id| id.map(ProjectId::new)),
            status: status
                .map_err(|error| ApiError::invalid("status", "invalid", error.to_string()))?,
        })
    }
}

fn metadata_text(object: Option<Map<String, Value>>) -> Result<Option<String>, ApiError> {
    object.map(|object| object_text("metadata", object)).transpose()
}

impl From<Conversation> for ConversationBody {
    fn from(conversation: Conversation) -> Self {
        let subject = conversation.subject;
        Self {
            id: conversation.id.as_uuid(),
            code: conversation.code.to_string(),
            title: subject.title,
            status: conversation.status.name().as_str(),
            system_message: subject.system_message,
            persona_id: subject.shape.persona.map(PersonaId::get),
            project_id: subject.shape.project.map(ProjectId::get),
            model: subject.model,
            metadata: subject.metadata.and_then(|json| RawValue::from_string(json).ok()),
            last_message_at: conversation.last_message_at,
            ended_at: match conversation.status {
                ConversationStatus::Ended { at } => Some(at),
                ConversationStatus::Active | ConversationStatus::Archived => None,
            },
            created_at: conversation.created_at,
            updated_at: conversation.updated_at,
        }
    }
}
