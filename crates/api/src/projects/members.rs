//! `/api/v1/projects/{project_id}/members`.

use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Query},
};
use repartee_application::{AppError, ports::UserReference, projects::ProjectService};
use repartee_domain::{ProjectId, projects::ProjectRole};

use super::{
    body::{MemberBody, MemberRoleBody},
    project_id,
};
use crate::{
    ApiError,
    auth::Caller,
    body::JsonBody,
    cursor::{ListBody, PageQuery},
    problem::Problem,
};

/// Who is in a project, in the order in which they became users. For its owner.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}/members", tag = "projects",
    params(
        ("project_id" = i64, Path, description = "Its id"),
        PageQuery,
    ),
    responses(
        (status = 200, body = ListBody<MemberBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: only the owner may, `insufficient_scope` or `not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Caller(actor): Caller,
    id: Path<String>,
    page: Query<PageQuery>,
    projects: Data<ProjectService>,
) -> Result<Json<ListBody<MemberBody>>, ApiError> {
    let page = projects.members(&actor, project_id(&id)?, page.parse()?).await?;
    Ok(Json(ListBody::of(page)))
}

/// Lets a user in, or gives a member another role. For its owner.
///
/// A viewer reads and converses, an editor edits the prompts as well. The owner stays the owner. A
/// project has at most 100 members.
#[utoipa::path(
    put, path = "/api/v1/projects/{project_id}/members/{member_id}", tag = "projects", request_body = MemberRoleBody,
    params(
        ("project_id" = i64, Path, description = "Its id"),
        ("member_id" = String, Path, description = "The user's id or code"),
    ),
    responses(
        (status = 200, body = MemberBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: only the owner may, `insufficient_scope` or `not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found` or `user_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`owner_stays` or `too_many_members`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn put(
    Caller(actor): Caller,
    path: Path<(String, String)>,
    body: JsonBody,
    projects: Data<ProjectService>,
) -> Result<Json<MemberBody>, ApiError> {
    let (project, user) = names(&path, AppError::USER_NOT_FOUND)?;
    let role = body.parse::<MemberRoleBody>().and_then(MemberRoleBody::parse);
    let role: ProjectRole = match role {
        Ok(role) => role,
        Err(error) => {
            // A missing resource is told before a bad body.
            projects.find(&actor, project).await?;
            return Err(error);
        }
    };
    Ok(Json(projects.put_member(&actor, project, user, role).await?.into()))
}

/// Takes a member out. For its owner.
///
/// The project is not there for them any more; their conversations in it are theirs, and go on without
/// its prompts.
#[utoipa::path(
    delete, path = "/api/v1/projects/{project_id}/members/{member_id}", tag = "projects",
    params(
        ("project_id" = i64, Path, description = "Its id"),
        ("member_id" = String, Path, description = "The user's id or code"),
    ),
    responses(
        (status = 204, description = "Removed"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: only the owner may, `insufficient_scope` or `not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found` or `member_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`owner_stays`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn remove(
    Caller(actor): Caller,
    path: Path<(String, String)>,
    projects: Data<ProjectService>,
) -> Result<HttpResponse, ApiError> {
    let (project, user) = names(&path, AppError::MEMBER_NOT_FOUND)?;
    projects.remove_member(&actor, project, user).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn names(
    (project, user): &(String, String),
    nobody: AppError,
) -> Result<(ProjectId, UserReference), ApiError> {
    let user = UserReference::parse(user).ok_or(nobody);
    Ok((project_id(project)?, user?))
}
