//! `/api/v1/projects/{project_id}/prompts`.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{ETAG, LOCATION},
    web::{Data, Json, Path, Query},
};
use repartee_application::{
    AppError,
    ports::PromptKey,
    prompts::{PromptName, PromptService},
};
use repartee_domain::{PromptId, Version, projects::Prompt};

use super::{
    body::{ChangePromptBody, NewPromptBody, PromptBody, PromptVersionBody},
    project_id,
};
use crate::{
    ApiError,
    auth::Caller,
    body::JsonBody,
    cursor::{Cursor, ListBody, PageQuery},
    edge::{entity_tag, if_match},
    idempotency::idempotency_key,
    problem::Problem,
};

/// The prompts of a project, by their positions. For its members.
///
/// The active ones are a part of the system message of the project's conversations, in this order.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}/prompts", tag = "projects",
    params(
        ("project_id" = i64, Path, description = "Its id"),
        PageQuery,
    ),
    responses(
        (status = 200, body = ListBody<PromptBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Caller(actor): Caller,
    project: Path<String>,
    page: Query<PageQuery>,
    prompts: Data<PromptService>,
) -> Result<Json<ListBody<PromptBody>>, ApiError> {
    let page = prompts.list(&actor, project_id(&project)?, page.parse()?).await?;
    Ok(Json(ListBody::of(page)))
}

/// Adds a prompt. For editors and the owner. A project has at most 100.
#[utoipa::path(
    post, path = "/api/v1/projects/{project_id}/prompts", tag = "projects", request_body = NewPromptBody,
    params(
        ("project_id" = i64, Path, description = "Its id"),
        ("Idempotency-Key" = Option<String>, Header, description = "A name for this request, like a UUID: repeated with the same body within 24 hours it answers the same prompt", example = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f"),
    ),
    responses(
        (status = 201, body = PromptBody, headers(("Location" = String), ("ETag" = String))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: only a member with another role may, or `insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`too_many_prompts`, or `already_done`: what was made under this key was deleted since", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn make(
    Caller(actor): Caller,
    request: HttpRequest,
    project: Path<String>,
    body: JsonBody,
    prompts: Data<PromptService>,
) -> Result<HttpResponse, ApiError> {
    let project = project_id(&project)?;
    let wish: NewPromptBody = match body.parse() {
        Ok(wish) => wish,
        Err(error) => {
            // A missing resource is told before a bad body.
            prompts.all(&actor, project).await?;
            return Err(error);
        }
    };
    let key = idempotency_key(&request, None, &[body.bytes()])?;
    let prompt = prompts.make(&actor, project, wish.into(), key).await?;
    let location = format!("/api/v1/projects/{project}/prompts/{}", prompt.id);
    let tag = entity_tag(prompt.version);
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, location))
        .insert_header((ETAG, tag))
        .json(PromptBody::from(prompt)))
}

/// One prompt, for the members of its project.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}/prompts/{prompt_id}", tag = "projects",
    params(
        ("project_id" = i64, Path, description = "Its id"),
        ("prompt_id" = i64, Path, description = "Its id"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` that was read"),
    ),
    responses(
        (status = 200, body = PromptBody, headers(("ETag" = String))),
        (status = 304, description = "It is as it was read"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found` or `prompt_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn find(
    Caller(actor): Caller,
    path: Path<(String, String)>,
    prompts: Data<PromptService>,
) -> Result<HttpResponse, ApiError> {
    Ok(answer(prompts.find(&actor, name(&path)?).await?))
}

/// Changes the fields that are named. For editors and the owner.
///
/// What it said is kept as a version.
#[utoipa::path(
    put, path = "/api/v1/projects/{project_id}/prompts/{prompt_id}", tag = "projects", request_body = ChangePromptBody,
    params(
        ("project_id" = i64, Path, description = "Its id"),
        ("prompt_id" = i64, Path, description = "Its id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read"),
    ),
    responses(
        (status = 200, body = PromptBody, headers(("ETag" = String))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: only a member with another role may, or `insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found` or `prompt_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`stale_write`", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "`version_mismatch`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn change(
    Caller(actor): Caller,
    request: HttpRequest,
    path: Path<(String, String)>,
    body: JsonBody,
    prompts: Data<PromptService>,
) -> Result<HttpResponse, ApiError> {
    let name = name(&path)?;
    let changes: ChangePromptBody = match body.parse() {
        Ok(changes) => changes,
        Err(error) => {
            // A missing resource is told before a bad body.
            prompts.find(&actor, name).await?;
            return Err(error);
        }
    };
    let expected = if_match(&request)?;
    Ok(answer(prompts.change(&actor, name, changes.into(), expected).await?))
}

/// Deletes a prompt with all of its versions, for good. For editors and the owner.
#[utoipa::path(
    delete, path = "/api/v1/projects/{project_id}/prompts/{prompt_id}", tag = "projects",
    params(
        ("project_id" = i64, Path, description = "Its id"),
        ("prompt_id" = i64, Path, description = "Its id"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: only a member with another role may, or `insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found` or `prompt_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    Caller(actor): Caller,
    path: Path<(String, String)>,
    prompts: Data<PromptService>,
) -> Result<HttpResponse, ApiError> {
    prompts.delete(&actor, name(&path)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What a prompt said, newest first. Its present text is the first. For the members of its project.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}/prompts/{prompt_id}/versions", tag = "projects",
    params(
        ("project_id" = i64, Path, description = "Its id"),
        ("prompt_id" = i64, Path, description = "Its id"),
        PageQuery,
    ),
    responses(
        (status = 200, body = ListBody<PromptVersionBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found` or `prompt_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn versions(
    Caller(actor): Caller,
    path: Path<(String, String)>,
    page: Query<PageQuery>,
    prompts: Data<PromptService>,
) -> Result<Json<ListBody<PromptVersionBody>>, ApiError> {
    let page = prompts.versions(&actor, name(&path)?, page.parse()?).await?;
    Ok(Json(ListBody::of(page)))
}

fn name((project, prompt): &(String, String)) -> Result<PromptName, ApiError> {
    Ok(PromptName { project: Some(project_id(project)?), id: prompt_id(prompt)? })
}

/// An id from a path. What no id could be is not there.
pub(super) fn prompt_id(text: &str) -> Result<PromptId, AppError> {
    text.parse().map_err(|_| AppError::PROMPT_NOT_FOUND)
}

pub(super) fn answer(prompt: Prompt) -> HttpResponse {
    let tag = entity_tag(prompt.version);
    HttpResponse::Ok().insert_header((ETAG, tag)).json(PromptBody::from(prompt))
}

impl Cursor for PromptKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.position.to_be_bytes()[..], &self.id.get().to_be_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (position, id) = bytes.split_first_chunk::<4>()?;
        let id = i64::from_be_bytes(id.try_into().ok()?);
        Some(Self { position: u32::from_be_bytes(*position), id: PromptId::new(id) })
    }
}

impl Cursor for Version {
    fn to_bytes(&self) -> Vec<u8> {
        self.get().to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(u32::from_be_bytes).map(Self::new)
    }
}
