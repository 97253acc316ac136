//! Projects for clients that know no pages and name no conversations: `/projects` and `/chat`.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Json, Path},
};
use repartee_application::{
    AppError,
    ports::LoggedEvent,
    projects::{ProjectChatService, ProjectService},
    prompts::{PromptName, PromptService},
    replies::NewMessage,
};
use repartee_domain::ProjectId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    body::{ChangePromptBody, NewProjectBody, NewPromptBody, ProjectBody, PromptBody},
    project_id,
    prompts::{self, prompt_id},
};
use crate::{
    ApiError,
    auth::Caller,
    body::JsonBody,
    chat::{Ended, as_called_here},
    conversations::reference,
    edge::if_match,
    idempotency::idempotency_key,
    messages::end_of,
    problem::Problem,
};

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"project_id": 1, "message": "Which tea keeps me awake?"}))]
pub(crate) struct ProjectChatBody {
    project_id: i64,
    #[schema(min_length = 1, max_length = 100_000)]
    message: String,
    /// The id or code of a conversation of one's own in the project; the one that is running where
    /// it is left out.
    conversation_id: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ProjectReplyBody {
    #[schema(example = "Green tea.")]
    reply: String,
    conversation_id: Uuid,
    /// The reply's.
    message_id: Uuid,
}

/// The newest 200 projects that one is a member of, as one array, newest first.
#[utoipa::path(
    get, path = "/projects", tag = "Family E: projects",
    responses(
        (status = 200, body = Vec<ProjectBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`insufficient_scope`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Caller(actor): Caller,
    projects: Data<ProjectService>,
) -> Result<Json<Vec<ProjectBody>>, ApiError> {
    let newest = projects.newest(&actor).await?;
    Ok(Json(newest.into_iter().map(ProjectBody::from).collect()))
}

/// Makes a project of one's own.
#[utoipa::path(
    post, path = "/projects", tag = "Family E: projects", request_body = NewProjectBody,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "A name for this request, like a UUID: repeated with the same body within 24 hours it answers the same project", example = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f"),
    ),
    responses(
        (status = 201, body = ProjectBody, headers(("Location" = String), ("ETag" = String))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`too_many_projects` or `already_done`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn make(
    caller: Caller,
    request: HttpRequest,
    body: JsonBody,
    projects: Data<ProjectService>,
) -> Result<HttpResponse, ApiError> {
    super::make(caller, request, body, projects).await
}

/// All prompts of a project, as one array, by their positions.
#[utoipa::path(
    get, path = "/projects/{project_id}/prompts", tag = "Family E: projects",
    params(
        ("project_id" = i64, Path, description = "Its id"),
    ),
    responses(
        (status = 200, body = Vec<PromptBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list_prompts(
    Caller(actor): Caller,
    project: Path<String>,
    prompts: Data<PromptService>,
) -> Result<Json<Vec<PromptBody>>, ApiError> {
    let all = prompts.all(&actor, project_id(&project)?).await?;
    Ok(Json(all.into_iter().map(PromptBody::from).collect()))
}

/// Adds a prompt. For editors and the owner.
#[utoipa::path(
    post, path = "/projects/{project_id}/prompts", tag = "Family E: projects", request_body = NewPromptBody,
    params(
        ("project_id" = i64, Path, description = "Its id"),
        ("Idempotency-Key" = Option<String>, Header, description = "A name for this request, like a UUID: repeated with the same body within 24 hours it answers the same prompt", example = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f"),
    ),
    responses(
        (status = 201, body = PromptBody, headers(("Location" = String), ("ETag" = String))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: only a member with another role may, or `insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`too_many_prompts` or `already_done`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn make_prompt(
    caller: Caller,
    request: HttpRequest,
    project: Path<String>,
    body: JsonBody,
    prompts: Data<PromptService>,
) -> Result<HttpResponse, ApiError> {
    prompts::make(caller, request, project, body, prompts).await
}

/// Changes the fields that are named. For editors and the owner.
#[utoipa::path(
    put, path = "/projects/prompts/{prompt_id}", tag = "Family E: projects", request_body = ChangePromptBody,
    params(
        ("prompt_id" = i64, Path, description = "Its id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read"),
    ),
    responses(
        (status = 200, body = PromptBody, headers(("ETag" = String))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: only a member with another role may, or `insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`prompt_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`stale_write`", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "`version_mismatch`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn change_prompt(
    Caller(actor): Caller,
    request: HttpRequest,
    id: Path<String>,
    body: JsonBody,
    prompts: Data<PromptService>,
) -> Result<HttpResponse, ApiError> {
    let name = anywhere(&id)?;
    let changes: ChangePromptBody = match body.parse() {
        Ok(changes) => changes,
        Err(error) => {
            // A missing resource is told before a bad body.
            prompts.find(&actor, name).await?;
            return Err(error);
        }
    };
    let expected = if_match(&request)?;
    Ok(prompts::answer(prompts.change(&actor, name, changes.into(), expected).await?))
}

/// Deletes a prompt, for good. For editors and the owner.
#[utoipa::path(
    delete, path = "/projects/prompts/{prompt_id}", tag = "Family E: projects",
    params(
        ("prompt_id" = i64, Path, description = "Its id"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: only a member with another role may, or `insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`prompt_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete_prompt(
    Caller(actor): Caller,
    id: Path<String>,
    prompts: Data<PromptService>,
) -> Result<HttpResponse, ApiError> {
    prompts.delete(&actor, anywhere(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Sends a message in a project, and waits for the whole reply.
///
/// The project's prompts are the system message. Each member has one running conversation in the
/// project, which begins with the first message; `conversation_id` names another one.
#[utoipa::path(
    post, path = "/chat", tag = "Family E: projects", request_body = ProjectChatBody,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "A name for this request, like a UUID: repeated with the same body within 24 hours it answers the same reply", example = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f"),
    ),
    responses(
        (status = 200, body = ProjectReplyBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found`, or `conversation_not_found`: it is none of one's own in the project", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`reply_in_progress`, `conversation_ended` or `conversation_archived`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_generations`: as many of your replies as may be are being written", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds"))),
        (status = 502, description = "`model_failed`: the question stays stored", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`model_unavailable`, `shutting_down` or `reply_interrupted`", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "`model_timeout`: the question stays stored", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn chat(
    Caller(actor): Caller,
    request: HttpRequest,
    json: JsonBody,
    chats: Data<ProjectChatService>,
) -> Result<Json<ProjectReplyBody>, ApiError> {
    let body: ProjectChatBody = json.parse()?;
    let key = idempotency_key(&request, None, &[json.bytes()])?;
    let is_keyed = key.is_some();
    let project = ProjectId::new(body.project_id);
    let named = body.conversation_id.as_deref().map(reference).transpose()?;
    let message = NewMessage { content: body.message, ..NewMessage::default() };
    let begun = chats.send(&actor, project, named, message, key).await;
    let begun = begun.map_err(as_called_here)?;
    let conversation = begun.generation.conversation.as_uuid();
    let end = end_of(begun.events, is_keyed).await?;
    Ok(Json(ProjectReplyBody::of(&end, conversation)?))
}

/// Its path doesn't say which project it is of.
fn anywhere(id: &str) -> Result<PromptName, AppError> {
    Ok(PromptName { project: None, id: prompt_id(id)? })
}

impl ProjectReplyBody {
    fn of(end: &LoggedEvent, conversation_id: Uuid) -> Result<Self, ApiError> {
        let end = Ended::read(end)?;
        let message = end.message;
        Ok(Self { reply: message.content, conversation_id, message_id: message.id })
    }
}
