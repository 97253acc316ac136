//! `/api/v1/projects/{project_id}/files`.

mod answer;
mod arriving;
mod body;
pub(crate) mod compat;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::LOCATION,
    web::{Data, Json, Path, Query},
};
use repartee_application::{
    AppError,
    files::{FileAddress, FileService},
};
use repartee_domain::FileId;

use self::{
    arriving::UploadBody,
    body::{FileBody, FileForm},
};
use crate::{
    ApiError,
    auth::Caller,
    cursor::{Cursor, ListBody, PageQuery},
    idempotency::idempotency_key,
    problem::Problem,
    projects::project_id,
};

/// The files of a project, newest first. For its members.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}/files", tag = "files",
    params(
        ("project_id" = i64, Path, description = "Its id"),
        PageQuery,
    ),
    responses(
        (status = 200, body = ListBody<FileBody>),
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
    files: Data<FileService>,
) -> Result<Json<ListBody<FileBody>>, ApiError> {
    let page = files.list(&actor, project_id(&project)?, page.parse()?).await?;
    Ok(Json(ListBody::of(page)))
}

/// Uploads a file, in the field `file` of a form. For editors and the owner.
///
/// Its type is told from its bytes, not from what the form says. A project has at most 1,000 files, each
/// of at most `http.upload_limit_bytes`.
#[utoipa::path(
    post, path = "/api/v1/projects/{project_id}/files", tag = "files",
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
        (status = 409, description = "`too_many_files`, or `already_done`: what was made under this key was deleted since", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "`body_too_large`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_media_type`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`: there is no file, two, or an empty one, or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn upload(
    Caller(actor): Caller,
    request: HttpRequest,
    project: Path<String>,
    body: UploadBody,
    files: Data<FileService>,
) -> Result<HttpResponse, ApiError> {
    let project = project_id(&project)?;
    let admitted = files.may_upload(&actor, project);
    let made = body.receive(admitted, async |name, bytes| {
        let key = idempotency_key(&request, None, &[name.as_str().as_bytes()])?;
        Ok(files.upload(&actor, project, name, bytes, key).await?)
    });
    let file = made.await?;
    let location = format!("/api/v1/projects/{project}/files/{}", file.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(FileBody::from(file)))
}

/// What is known of a file. For the members of its project.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}/files/{file_id}", tag = "files",
    params(
        ("project_id" = i64, Path, description = "Its id"),
        ("file_id" = i64, Path, description = "Its id"),
    ),
    responses(
        (status = 200, body = FileBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found` or `file_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn find(
    Caller(actor): Caller,
    path: Path<(String, String)>,
    files: Data<FileService>,
) -> Result<Json<FileBody>, ApiError> {
    Ok(Json(files.find(&actor, address(&path)?).await?.into()))
}

/// A file as it was uploaded, to be saved: a browser runs nothing of it. For the members of its project.
#[utoipa::path(
    get, path = "/api/v1/projects/{project_id}/files/{file_id}/content", tag = "files",
    params(
        ("project_id" = i64, Path, description = "Its id"),
        ("file_id" = i64, Path, description = "Its id"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` that was read"),
    ),
    responses(
        (status = 200, description = "Its bytes, as the type that they are", body = Vec<u8>, content_type = "*/*", headers(("ETag" = String, description = "Their SHA-256"), ("Content-Disposition" = String))),
        (status = 304, description = "It is what was read"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found` or `file_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn content(
    Caller(actor): Caller,
    path: Path<(String, String)>,
    files: Data<FileService>,
) -> Result<HttpResponse, ApiError> {
    let (file, bytes) = files.open(&actor, address(&path)?).await?;
    Ok(answer::download(file, bytes))
}

/// Deletes a file, for good. For editors and the owner.
#[utoipa::path(
    delete, path = "/api/v1/projects/{project_id}/files/{file_id}", tag = "files",
    params(
        ("project_id" = i64, Path, description = "Its id"),
        ("file_id" = i64, Path, description = "Its id"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden`: only a member with another role may, or `insufficient_scope`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`project_not_found` or `file_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    Caller(actor): Caller,
    path: Path<(String, String)>,
    files: Data<FileService>,
) -> Result<HttpResponse, ApiError> {
    files.delete(&actor, address(&path)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn address((project, file): &(String, String)) -> Result<FileAddress, ApiError> {
    Ok(FileAddress { project: Some(project_id(project)?), id: file_id(file)? })
}

/// An id from a path. What no id could be is not there.
fn file_id(text: &str) -> Result<FileId, AppError> {
    text.parse().map_err(|_| AppError::FILE_NOT_FOUND)
}

impl Cursor for FileId {
    fn to_bytes(&self) -> Vec<u8> {
        self.get().to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(i64::from_be_bytes).map(Self::new)
    }
}
