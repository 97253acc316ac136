//! `/api/v1/auth` and `/api/v1/users/me`.

mod body;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, ETAG},
    web::Data,
};
use repartee_application::accounts::{AccountService, SignedIn, TokenPair};

use self::body::{
    LogInBody, LogOutBody, ProfileBody, RefreshBody, RegisterBody, SignedInBody, TokenPairBody,
    UserBody,
};
use crate::{
    ApiError,
    auth::{Caller, device},
    body::JsonBody,
    edge::{entity_tag, if_match},
    problem::Problem,
};

/// Registers a user and signs them in.
#[utoipa::path(
    post, path = "/api/v1/auth/register", tag = "identity", request_body = RegisterBody,
    responses(
        (status = 201, body = SignedInBody),
        (status = 403, description = "`registration_closed`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`email_taken` or `username_taken`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(crate) async fn register(
    request: HttpRequest,
    body: JsonBody,
    accounts: Data<AccountService>,
) -> Result<HttpResponse, ApiError> {
    let body: RegisterBody = body.parse()?;
    let signed_in = accounts.register(body.into(), device(&request)).await?;
    Ok(secret(HttpResponse::Created()).json(SignedInBody::from(signed_in)))
}

/// Signs somebody in, by e-mail address or username.
#[utoipa::path(
    post, path = "/api/v1/auth/login", tag = "identity", request_body = LogInBody,
    responses(
        (status = 200, body = SignedInBody),
        (status = 401, description = "`wrong_credentials`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(crate) async fn log_in(
    request: HttpRequest,
    body: JsonBody,
    accounts: Data<AccountService>,
) -> Result<HttpResponse, ApiError> {
    let body: LogInBody = body.parse()?;
    let signed_in: SignedIn = accounts.log_in(body.try_into()?, device(&request)).await?;
    Ok(secret(HttpResponse::Ok()).json(SignedInBody::from(signed_in)))
}

/// Spends a refresh token for a new pair.
#[utoipa::path(
    post, path = "/api/v1/auth/refresh", tag = "identity", request_body = RefreshBody,
    responses(
        (status = 200, body = TokenPairBody),
        (status = 401, description = "`invalid_refresh_token`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(crate) async fn refresh(
    body: JsonBody,
    accounts: Data<AccountService>,
) -> Result<HttpResponse, ApiError> {
    let body: RefreshBody = body.parse()?;
    let tokens: TokenPair = accounts.refresh(body.refresh_token.into()).await?;
    Ok(secret(HttpResponse::Ok()).json(TokenPairBody::from(tokens)))
}

/// Ends this login session, or every one.
#[utoipa::path(
    post, path = "/api/v1/auth/logout", tag = "identity", request_body = LogOutBody,
    responses(
        (status = 204, description = "Signed out"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn log_out(
    Caller(actor): Caller,
    body: JsonBody,
    accounts: Data<AccountService>,
) -> Result<HttpResponse, ApiError> {
    let body: LogOutBody = body.parse()?;
    accounts.log_out(&actor, body.all).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// One's own profile.
#[utoipa::path(
    get, path = "/api/v1/users/me", tag = "identity",
    responses(
        (status = 200, body = UserBody, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn profile(
    Caller(actor): Caller,
    accounts: Data<AccountService>,
) -> Result<HttpResponse, ApiError> {
    let user = accounts.profile(&actor).await?;
    let tag = entity_tag(user.version);
    Ok(HttpResponse::Ok().insert_header((ETAG, tag)).json(UserBody::from(user)))
}

/// Changes the fields that are named.
#[utoipa::path(
    patch, path = "/api/v1/users/me", tag = "identity", request_body = ProfileBody,
    params(("If-Match" = Option<String>, Header, description = "The `ETag` that was read")),
    responses(
        (status = 200, body = UserBody, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`username_taken`", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "`version_mismatch`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn change_profile(
    Caller(actor): Caller,
    request: HttpRequest,
    body: JsonBody,
    accounts: Data<AccountService>,
) -> Result<HttpResponse, ApiError> {
    let changes: ProfileBody = body.parse()?;
    let user = accounts.change_profile(&actor, changes.try_into()?, if_match(&request)?).await?;
    let tag = entity_tag(user.version);
    Ok(HttpResponse::Ok().insert_header((ETAG, tag)).json(UserBody::from(user)))
}

/// The same as PATCH.
#[utoipa::path(
    put, path = "/api/v1/users/me", tag = "identity", request_body = ProfileBody,
    params(("If-Match" = Option<String>, Header, description = "The `ETag` that was read")),
    responses(
        (status = 200, body = UserBody, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`username_taken`", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "`version_mismatch`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn replace_profile(
    caller: Caller,
    request: HttpRequest,
    body: JsonBody,
    accounts: Data<AccountService>,
) -> Result<HttpResponse, ApiError> {
    change_profile(caller, request, body, accounts).await
}

/// An answer that holds tokens is nobody's to keep (RFC 6749, 5.1).
fn secret(mut response: actix_web::HttpResponseBuilder) -> actix_web::HttpResponseBuilder {
    response.insert_header((CACHE_CONTROL, "no-store"));
    response
}
