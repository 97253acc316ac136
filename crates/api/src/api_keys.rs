//! `/api/v1/api-keys`.

mod body;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::CACHE_CONTROL,
    web::{Data, Json, Path, Query},
};
use repartee_application::{AppError, api_keys::ApiKeyService};

use self::body::{ApiKeyBody, MadeKeyBody, NewApiKeyBody};
use crate::{
    ApiError,
    auth::Caller,
    body::JsonBody,
    cursor::{ListBody, PageQuery},
    idempotency::idempotency_key,
    problem::Problem,
};

/// One's own keys, newest first; those too that were revoked or have expired.
#[utoipa::path(
    get, path = "/api/v1/api-keys", tag = "identity", params(PageQuery),
    responses(
        (status = 200, body = ListBody<ApiKeyBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Caller(actor): Caller,
    page: Query<PageQuery>,
    keys: Data<ApiKeyService>,
) -> Result<Json<ListBody<ApiKeyBody>>, ApiError> {
    Ok(Json(ListBody::of(keys.list(&actor, page.parse()?).await?)))
}

/// Makes a key for a program.
///
/// Its `secret` is shown this once: send it as `Authorization: Bearer`, wherever an access token
/// may stand. A key never manages an account. A user has at most 100 live ones.
#[utoipa::path(
    post, path = "/api/v1/api-keys", tag = "identity", request_body = NewApiKeyBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "A name for this request, like a UUID: repeated with the same body within 24 hours it makes no second key, and answers `already_done`", example = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f")),
    responses(
        (status = 201, body = MadeKeyBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`too_many_keys`, or `already_done`: a key was made under this name before, and its secret is not shown again", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn make(
    Caller(actor): Caller,
    request: HttpRequest,
    body: JsonBody,
    keys: Data<ApiKeyService>,
) -> Result<HttpResponse, ApiError> {
    let wish: NewApiKeyBody = body.parse()?;
    let key = idempotency_key(&request, None, &[body.bytes()])?;
    let made = keys.make(&actor, wish.into(), key).await?;
    Ok(HttpResponse::Created()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(MadeKeyBody::from(made)))
}

/// Revokes a key: it opens nothing from now on, and what it opened closes.
#[utoipa::path(
    delete, path = "/api/v1/api-keys/{key_id}", tag = "identity",
    params(("key_id" = String, Path, description = "Its id")),
    responses(
        (status = 204, description = "Revoked, now or before"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`api_key_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn revoke(
    Caller(actor): Caller,
    id: Path<String>,
    keys: Data<ApiKeyService>,
) -> Result<HttpResponse, ApiError> {
    let id = id.parse().map_err(|_| AppError::NotFound { resource: "api_key" })?;
    keys.revoke(&actor, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
