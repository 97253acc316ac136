//! What projects look like on the wire.

use chrono::{DateTime, Utc};
use repartee_application::ports::{JoinedProject, ProjectMember};
use repartee_domain::{
    UserId,
    projects::{ProjectRole, Prompt, PromptChanges, PromptVersion, PurposeChanges},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{ApiError, body::nullable, time::rfc3339};

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"name": "Tea shop", "description": "Answers to our customers."}))]
pub(crate) struct NewProjectBody {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(max_length = 2_000)]
    description: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"description": null}))]
pub(crate) struct ChangeProjectBody {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, max_length = 2_000)]
    description: Option<Option<String>>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ProjectBody {
    #[schema(example = 7)]
    id: i64,
    owner_id: Uuid,
    name: String,
    description: Option<String>,
    /// One's own: `owner`, `editor` or `viewer`.
    #[schema(example = "owner")]
    role: &'static str,
    #[serde(serialize_with = "rfc3339")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "rfc3339")]
    updated_at: DateTime<Utc>,
}

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"role": "editor"}))]
pub(crate) struct MemberRoleBody {
    /// `editor` or `viewer`.
    role: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MemberBody {
    user_id: Uuid,
    username: Option<String>,
    /// `owner`, `editor` or `viewer`.
    #[schema(example = "editor")]
    role: &'static str,
    #[serde(serialize_with = "rfc3339")]
    added_at: DateTime<Utc>,
}

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"name": "Tone", "content": "Answer as a friendly tea merchant would."}))]
pub(crate) struct NewPromptBody {
    #[schema(max_length = 200)]
    name: Option<String>,
    #[schema(min_length = 1, max_length = 32_000)]
    content: String,
    /// After all others where it is left out.
    #[schema(maximum = 1_000_000)]
    position: Option<u32>,
    /// True where it is left out.
    is_active: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"content": "Answer in one sentence.", "is_active": true}))]
pub(crate) struct ChangePromptBody {
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>, max_length = 200)]
    name: Option<Option<String>>,
    #[schema(min_length = 1, max_length = 32_000)]
    content: Option<String>,
    #[schema(maximum = 1_000_000)]
    position: Option<u32>,
    is_active: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct PromptBody {
    #[schema(example = 7)]
    id: i64,
    project_id: i64,
    name: Option<String>,
    content: String,
    /// Of two with the same position the older one comes first.
    position: u32,
    /// Whether conversations see it.
    is_active: bool,
    version: u32,
    #[serde(serialize_with = "rfc3339")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "rfc3339")]
    updated_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct PromptVersionBody {
    version: u32,
    name: Option<String>,
    content: String,
    /// Who wrote it; null where they were deleted since.
    changed_by: Option<Uuid>,
    #[serde(serialize_with = "rfc3339")]
    at: DateTime<Utc>,
}

impl MemberRoleBody {
    pub(super) fn parse(self) -> Result<ProjectRole, ApiError> {
        ProjectRole::assignable(&self.role)
            .map_err(|error| ApiError::invalid("role", "invalid", error.to_string()))
    }
}

impl From<NewProjectBody> for PurposeChanges {
    fn from(body: NewProjectBody) -> Self {
        Self { name: Some(body.name), description: Some(body.description) }
    }
}

impl From<ChangeProjectBody> for PurposeChanges {
    fn from(body: ChangeProjectBody) -> Self {
        Self { name: body.name, description: body.description }
    }
}

impl From<NewPromptBody> for PromptChanges {
    fn from(body: NewPromptBody) -> Self {
        Self {
            name: Some(body.name),
            content: Some(body.content),
            position: body.position,
            is_active: body.is_active,
        }
    }
}

impl From<ChangePromptBody> for PromptChanges {
    fn from(body: ChangePromptBody) -> Self {
        Self {
            name: body.name,
            content: body.content,
            position: body.position,
            is_active: body.is_active,
        }
    }
}

impl From<JoinedProject> for ProjectBody {
    fn from(JoinedProject { project, role }: JoinedProject) -> Self {
        Self {
            id: project.id.get(),
            owner_id: project.owner.as_uuid(),
            name: project.purpose.name,
            description: project.purpose.description,
            role: role.as_str(),
            created_at: project.created_at,
            updated_at: project.updated_at,
        }
    }
}

impl From<ProjectMember> for MemberBody {
    fn from(member: ProjectMember) -> Self {
        Self {
            user_id: member.user.as_uuid(),
            username: member.username,
            role: member.role.as_str(),
            added_at: member.added_at,
        }
    }
}

impl From<Prompt> for PromptBody {
    fn from(prompt: Prompt) -> Self {
        Self {
            id: prompt.id.get(),
            project_id: prompt.project.get(),
            name: prompt.text.name,
            content: prompt.text.content,
            position: prompt.position,
            is_active: prompt.is_active,
            version: prompt.version.get(),
            created_at: prompt.created_at,
            updated_at: prompt.updated_at,
        }
    }
}

impl From<PromptVersion> for PromptVersionBody {
    fn from(version: PromptVersion) -> Self {
        Self {
            version: version.version.get(),
            name: version.text.name,
            content: version.text.content,
            changed_by: version.changed_by.map(UserId::as_uuid),
            at: version.at,
        }
    }
}
