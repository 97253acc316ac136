//! Files of projects for clients that know no pages: `/projects/{project_id}/files`.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Json, Path},
};
use repartee_application::{
    AppError,
    files::{FileAddress, FileService},
};

use super::{
    answer,
    arriving::UploadBody,
    body::{FileBody, FileForm},
    file_id,
};
use crate::{ApiError, auth::Caller, problem::Problem, projects::project_id};

/// All files of a project, as one array, newest first.
#[utoipa::path(
    get, path = "/projects/{project_id}/files", tag = "Family E: projects",
    params(
        ("project_id" = i64, Path, description = "Its id"),
    ),
    responses(
        (status = 200, body = Vec<FileBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Caller(actor): Caller,
    project: Path<String>,
    files: Data<FileService>,
) -> Result<Json<Vec<FileBody>>, ApiError> {
    let all = files.all(&actor, project_id(&project)?).await?;
    Ok(Json(all.into_iter().map(FileBody::from).collect()))
}

/// Uploads a file, in the field `file` of a form. For editors and the owner.
#[utoipa::path(
    post, path = "/projects/{project_id}/files", tag = "Family E: projects",
    request_body(content = FileForm, content_type = "multipart/form-data"),
    params(
        ("project_id" = i64, Path, description = "Its id"),
        ("Idempotency-Key" = Option<String>, Header, description = "A name for this request, like a UUID: repeated with the same file within 24 hours it answers the same", example = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f"),
    ),
    responses(
        (status = 201, body = FileBody, headers(("Location" = String))),
        (status = 400, description = "`malformed_form` or `body_incomplete`", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: only a member with another role may, or `insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "`body_timeout`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`too_many_files` or `already_done`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn upload(
    caller: Caller,
    request: HttpRequest,
    project: Path<String>,
    body: UploadBody,
    files: Data<FileService>,
) -> Result<HttpResponse, ApiError> {
    super::upload(caller, request, project, body, files).await
}

/// A file as it was uploaded. For the members of its project.
#[utoipa::path(
    get, path = "/projects/files/{file_id}", tag = "Family E: projects",
    params(
        ("file_id" = i64, Path, description = "Its id"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` that was read"),
    ),
    responses(
        (status = 200, description = "Its bytes, as the type that they are", body = Vec<u8>, content_type = "*/*", headers(("ETag" = String, description = "Their SHA-256"), ("Content-Disposition" = String))),
        (status = 304, description = "It is what was read"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`file_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn content(
    Caller(actor): Caller,
    id: Path<String>,
    files: Data<FileService>,
) -> Result<HttpResponse, ApiError> {
    let (file, bytes) = files.open(&actor, anywhere(&id)?).await?;
    Ok(answer::download(file, bytes))
}

/// Deletes a file, for good. For editors and the owner.
#[utoipa::path(
    delete, path = "/projects/files/{file_id}", tag = "Family E: projects",
    params(
        ("file_id" = i64, Path, description = "Its id"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: only a member with another role may, or `insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`file_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    Caller(actor): Caller,
    id: Path<String>,
    files: Data<FileService>,
) -> Result<HttpResponse, ApiError> {
    files.delete(&actor, anywhere(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A file of whichever project.
fn anywhere(id: &str) -> Result<FileAddress, AppError> {
    Ok(FileAddress { project: None, id: file_id(id)? })
}
