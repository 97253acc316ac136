//! `/api/v1/auth` and `/api/v1/users/me`.

mod body;
pub(crate) mod compat;
pub(crate) mod devices;
pub(crate) mod recovery;
pub(crate) mod users;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, ETAG},
    web::Data,
};
use repartee_application::accounts::{
    AccountService, Registered, SignedIn, StreamAccessService, TokenPair,
};

pub(crate) use self::body::TicketBody;
use self::{
    body::{
        LogInBody, LogOutBody, ProfileBody, RefreshBody, RegisterBody, SignedInBody, TokenPairBody,
        UserBody,
    },
    recovery::AcceptedBody,
};
use crate::{
    ApiError,
    auth::{Caller, origin},
    body::JsonBody,
    edge::{entity_tag, if_match},
    problem::Problem,
};

/// Registers a user and signs them in.
///
/// Where the server hides who is registered, the answer is always the same, and a mail says the
/// rest.
#[utoipa::path(
    post, path = "/api/v1/auth/register", tag = "identity", request_body = RegisterBody,
    responses(
        (status = 201, body = SignedInBody),
        (status = 202, description = "With `auth.hide_registration`", body = AcceptedBody),
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
    Ok(match accounts.register(body.into(), &origin(&request)).await? {
        Registered::SignedIn(signed_in) => {
            secret(HttpResponse::Created()).json(SignedInBody::from(*signed_in))
        }
        Registered::ToldByMail => HttpResponse::Accepted().json(AcceptedBody::new()),
    })
}

/// Signs somebody in, by e-mail address or username.
#[utoipa::path(
    post, path = "/api/v1/auth/login", tag = "identity", request_body = LogInBody,
    responses(
        (status = 200, body = SignedInBody),
        (status = 401, description = "`wrong_credentials`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_failures`", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = u64, description = "Seconds"))),
    ),
    security(()),
)]
pub(crate) async fn log_in(
    request: HttpRequest,
    body: JsonBody,
    accounts: Data<AccountService>,
) -> Result<HttpResponse, ApiError> {
    let body: LogInBody = body.parse()?;
    let signed_in: SignedIn = accounts.log_in(body.try_into()?, &origin(&request)).await?;
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
    request: HttpRequest,
    body: JsonBody,
    accounts: Data<AccountService>,
) -> Result<HttpResponse, ApiError> {
    let body: RefreshBody = body.parse()?;
    let tokens: TokenPair = accounts.refresh(body.refresh_token, &origin(&request)).await?;
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

/// A ticket that opens one stream or socket, where a browser can set no header.
///
/// It is good once, for 30 seconds, as `?ticket=` on an event stream or a WebSocket. One that opened a
/// reply stays good for resuming that reply.
#[utoipa::path(
    post, path = "/api/v1/auth/ticket", tag = "identity",
    responses(
        (status = 200, body = TicketBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn ticket(
    Caller(actor): Caller,
    streams: Data<StreamAccessService>,
) -> Result<HttpResponse, ApiError> {
    let ticket = streams.issue_ticket(&actor).await?;
    Ok(secret(HttpResponse::Ok()).json(TicketBody::from(ticket)))
}

/// One's own profile.
#[utoipa::path(
    get, path = "/api/v1/users/me", tag = "identity",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` that was read")),
    responses(
        (status = 200, body = UserBody, headers(("ETag" = String, description = "For `If-Match`"))),
        (status = 304, description = "It is as it was read"),
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
