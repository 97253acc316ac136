//! What a session looks like on the wire.

use chrono::{DateTime, Utc};
use repartee_domain::{
    PersonaId,
    conversations::{Conversation, ConversationChanges, ConversationStatusName},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{body::nullable, time::rfc3339};

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"title": "Tea", "persona_id": 5}))]
pub(crate) struct NewSessionBody {
    title: Option<String>,
    /// An active persona.
    persona_id: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"title": "Green tea", "is_archived": false}))]
pub(crate) struct ChangeSessionBody {
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    title: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<i64>)]
    persona_id: Option<Option<i64>>,
    is_archived: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SessionBody {
    id: Uuid,
    user_id: Uuid,
    title: Option<String>,
    persona_id: Option<i64>,
    is_archived: bool,
    #[serde(serialize_with = "rfc3339")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "rfc3339")]
    updated_at: DateTime<Utc>,
}

impl From<NewSessionBody> for ConversationChanges {
    fn from(body: NewSessionBody) -> Self {
        Self {
            title: Some(body.title),
            persona: Some(body.persona_id.map(PersonaId::new)),
            ..Self::default()
        }
    }
}

impl From<ChangeSessionBody> for ConversationChanges {
    fn from(body: ChangeSessionBody) -> Self {
        let status = body.is_archived.map(|is_archived| {
            if is_archived {
                ConversationStatusName::Archived
            } else {
                ConversationStatusName::Active
            }
        });
        Self {
            title: body.title,
            persona: body.persona_id.map(|id| id.map(PersonaId::new)),
            status,
            ..Self::default()
        }
    }
}

impl From<Conversation> for SessionBody {
    fn from(conversation: Conversation) -> Self {
        Self {
            id: conversation.id.as_uuid(),
            user_id: conversation.owner.as_uuid(),
            title: conversation.subject.title,
            persona_id: conversation.subject.shape.persona.map(PersonaId::get),
            is_archived: conversation.status.name() == ConversationStatusName::Archived,
            created_at: conversation.created_at,
            updated_at: conversation.updated_at,
        }
    }
}
