//! What a persona looks like on the wire.

use chrono::{DateTime, Utc};
use repartee_application::personas::SeenPersona;
use repartee_domain::personas::{Character, CharacterChanges};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{body::nullable, time::rfc3339};

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"name": "Sommelier", "system_prompt": "You know everything about tea.", "expertise": "Tea", "icon": "🍵"}))]
pub(crate) struct NewPersonaBody {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// A part of the system message of its conversations.
    #[schema(min_length = 1, max_length = 32_000)]
    system_prompt: String,
    #[schema(max_length = 500)]
    expertise: Option<String>,
    #[schema(max_length = 2_000)]
    description: Option<String>,
    /// An emoji, a name or an address.
    #[schema(max_length = 500)]
    icon: Option<String>,
    /// True where it is left out.
    is_active: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"description": "Knows every leaf.", "is_active": false}))]
pub(crate) struct ChangePersonaBody {
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    #[schema(min_length = 1, max_length = 32_000)]
    system_prompt: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, max_length = 500)]
    expertise: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, max_length = 2_000)]
    description: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, max_length = 500)]
    icon: Option<Option<String>>,
    is_active: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct PersonaBody {
    #[schema(example = 7)]
    id: i64,
    name: String,
    /// For managers and administrators alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    system_prompt: Option<String>,
    expertise: Option<String>,
    description: Option<String>,
    icon: Option<String>,
    /// Whether conversations may choose it.
    is_active: bool,
    #[serde(serialize_with = "rfc3339")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "rfc3339")]
    updated_at: DateTime<Utc>,
}

impl From<NewPersonaBody> for CharacterChanges {
    fn from(body: NewPersonaBody) -> Self {
        Self {
            name: Some(body.name),
            system_prompt: Some(body.system_prompt),
            expertise: Some(body.expertise),
            description: Some(body.description),
            icon: Some(body.icon),
            is_active: body.is_active,
        }
    }
}

impl From<ChangePersonaBody> for CharacterChanges {
    fn from(body: ChangePersonaBody) -> Self {
        Self {
            name: body.name,
            system_prompt: body.system_prompt,
            expertise: body.expertise,
            description: body.description,
            icon: body.icon,
            is_active: body.is_active,
        }
    }
}

impl From<SeenPersona> for PersonaBody {
    fn from(SeenPersona { persona, shows_prompt }: SeenPersona) -> Self {
        let Character { name, system_prompt, expertise, description, icon, is_active } =
            persona.character;
        Self {
            id: persona.id.get(),
            name,
            system_prompt: shows_prompt.then_some(system_prompt),
            expertise,
            description,
            icon,
            is_active,
            created_at: persona.created_at,
            updated_at: persona.updated_at,
        }
    }
}
