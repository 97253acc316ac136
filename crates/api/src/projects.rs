//! `/api/v1/projects`.

mod body;
pub(crate) mod compat;
pub(crate) mod members;
pub(crate) mod prompts;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{ETAG, LOCATION},
    web::{Data, Json, Path, Query},
};
use repartee_application::{AppError, ports::JoinedProject, projects::ProjectService};
use repartee_domain::ProjectId;

use self::body::{ChangeProjectBody, NewProjectBody, ProjectBody};
use crate::{
    ApiError,
    auth::Caller,
    body::JsonBody,
    cursor::{Cursor, ListBody, PageQuery},
    edge::{entity_tag, if_match},
    idempotency::idempotency_key,
    problem::Problem,
};

/// The projects that one is a member of, newest first.
#[utoipa::path(
    get, path = "/api/v1/projects", tag = "projects",
    params(PageQuery),
    responses(
        (status = 200, body = ListBody<ProjectBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Caller(actor): Caller,
    page: Query<PageQuery>,
    projects: Data<ProjectService>,
) -> Result<Json<ListBody<ProjectBody>>, ApiError> {
    Ok(Json(ListBody::of(projects.list(&actor, page.parse()?).await?)))
}

/// Makes a project of one's own. Somebody may own 100.
#[utoipa::path(
    post, path = "/api/v1/projects", tag = "projects", request_body = NewProjectBody,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "A name for this request, like a UUID: repeated with the same body within 24 hours it answers the same project", example = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f"),
    ),
    responses(
        (status = 201, body = ProjectBody, headers(("Location" = String), ("ETag" = String))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`too_many_projects`, or `already_done`: what was made under this key was deleted since", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn make(
    Caller(actor): Caller,
    request: HttpRequest,
    body: JsonBody,
    projects: Data<ProjectService>,
) -> Result<HttpResponse, ApiError> {
    let wish: NewProjectBody = body.parse()?;
    let key = idempotency_key(&request, None, &[body.bytes()])?;
    let made = projects.make(&actor, wish.into(), key).await?;
    let location = format!("/api/v1/projects/{}", made.project.id);
    let tag = entity_tag(made.project.version);
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, location))
        .insert_header((ETAG, tag))
        .json(ProjectBody::from(made)))
}

/// One project, for its members.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}", tag = "projects",
    params(
        ("project_id" = i64, Path, description = "Its id"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` that was read"),
    ),
    responses(
        (status = 200, body = ProjectBody, headers(("ETag" = String))),
        (status = 304, description = "It is as it was read"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn find(
    Caller(actor): Caller,
    id: Path<String>,
    projects: Data<ProjectService>,
) -> Result<HttpResponse, ApiError> {
    Ok(answer(projects.find(&actor, project_id(&id)?).await?))
}

/// Changes the fields that are named. For its owner.
#[utoipa::path(
    patch, path = "/api/v1/projects/{project_id}", tag = "projects", request_body = ChangeProjectBody,
    params(
        ("project_id" = i64, Path, description = "Its id"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read"),
    ),
    responses(
        (status = 200, body = ProjectBody, headers(("ETag" = String))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: only a member with another role may, or `insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`stale_write`", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "`version_mismatch`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn change(
    Caller(actor): Caller,
    request: HttpRequest,
    id: Path<String>,
    body: JsonBody,
    projects: Data<ProjectService>,
) -> Result<HttpResponse, ApiError> {
    let id = project_id(&id)?;
    let changes: ChangeProjectBody = match body.parse() {
        Ok(changes) => changes,
        Err(error) => {
            // A missing resource is told before a bad body.
            projects.find(&actor, id).await?;
            return Err(error);
        }
    };
    let expected = if_match(&request)?;
    Ok(answer(projects.change(&actor, id, changes.into(), expected).await?))
}

/// Deletes a project with its prompts, for good. For its owner. Conversations go on without.
#[utoipa::path(
    delete, path = "/api/v1/projects/{project_id}", tag = "projects",
    params(
        ("project_id" = i64, Path, description = "Its id"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: only a member with another role may, or `insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    Caller(actor): Caller,
    id: Path<String>,
    projects: Data<ProjectService>,
) -> Result<HttpResponse, ApiError> {
    projects.delete(&actor, project_id(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// An id from a path. What no id could be is not there.
pub(crate) fn project_id(text: &str) -> Result<ProjectId, ApiError> {
    text.parse().map_err(|_| AppError::PROJECT_NOT_FOUND.into())
}

fn answer(joined: JoinedProject) -> HttpResponse {
    let tag = entity_tag(joined.project.version);
    HttpResponse::Ok().insert_header((ETAG, tag)).json(ProjectBody::from(joined))
}

impl Cursor for ProjectId {
    fn to_bytes(&self) -> Vec<u8> {
        self.get().to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(i64::from_be_bytes).map(Self::new)
    }
}
