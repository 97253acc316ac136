//! `/api/v1/auth/password`, `/api/v1/auth/email` and one's own password.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use repartee_application::accounts::{AccountService, RecoveryService};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ApiError,
    auth::{Caller, origin},
    body::JsonBody,
    problem::Problem,
};

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"email": "ada@example.com"}))]
pub(crate) struct ForgotBody {
    email: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"token": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "new_password": "analytical2"}))]
pub(crate) struct ResetBody {
    /// What the link in the mail ends with.
    token: String,
    /// At least 8 characters with a letter and a digit, at most 256; not a common one.
    new_password: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"token": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}))]
pub(crate) struct VerifyBody {
    /// What the link in the mail ends with.
    token: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"current_password": "analytical1", "new_password": "analytical2"}))]
pub(crate) struct PasswordBody {
    current_password: String,
    /// At least 8 characters with a letter and a digit, at most 256; not a common one.
    new_password: String,
}

/// What is done is told by mail.
#[derive(Serialize, ToSchema)]
pub(crate) struct AcceptedBody {
    /// The same, whatever is done.
    #[schema(example = "look into your mail")]
    detail: &'static str,
}

impl AcceptedBody {
    pub(crate) const fn new() -> Self {
        Self { detail: "look into your mail" }
    }
}

/// Mails a link that resets the password, where somebody has this address.
///
/// The answer is always the same. The link is good once, for an hour.
#[utoipa::path(
    post, path = "/api/v1/auth/password/forgot", tag = "identity", request_body = ForgotBody,
    responses(
        (status = 202, body = AcceptedBody),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(crate) async fn forgot_password(
    request: HttpRequest,
    body: JsonBody,
    recovery: Data<RecoveryService>,
) -> Result<HttpResponse, ApiError> {
    let body: ForgotBody = body.parse()?;
    recovery.forgot_password(&body.email, &origin(&request));
    Ok(HttpResponse::Accepted().json(AcceptedBody::new()))
}

/// Spends a link for a new password, and ends every login session.
///
/// A password that will not do leaves the link as it is.
#[utoipa::path(
    post, path = "/api/v1/auth/password/reset", tag = "identity", request_body = ResetBody,
    responses(
        (status = 204, description = "The password was changed"),
        (status = 422, description = "`invalid_secret` or `invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(crate) async fn reset_password(
    request: HttpRequest,
    body: JsonBody,
    recovery: Data<RecoveryService>,
) -> Result<HttpResponse, ApiError> {
    let ResetBody { token, new_password } = body.parse()?;
    recovery.reset_password(token.into(), new_password.into(), &origin(&request)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Spends a link that was mailed to an address, which it verifies.
#[utoipa::path(
    post, path = "/api/v1/auth/email/verify", tag = "identity", request_body = VerifyBody,
    responses(
        (status = 204, description = "The address is verified"),
        (status = 422, description = "`invalid_secret` or `invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(crate) async fn verify_email(
    request: HttpRequest,
    body: JsonBody,
    recovery: Data<RecoveryService>,
) -> Result<HttpResponse, ApiError> {
    let VerifyBody { token } = body.parse()?;
    recovery.verify_email(token.into(), &origin(&request)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Mails another link that verifies the caller's address, unless it is verified.
#[utoipa::path(
    post, path = "/api/v1/auth/email/resend", tag = "identity",
    responses(
        (status = 202, body = AcceptedBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_for_keys`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn resend_verification(
    Caller(actor): Caller,
    recovery: Data<RecoveryService>,
) -> Result<HttpResponse, ApiError> {
    recovery.resend_verification(&actor).await?;
    Ok(HttpResponse::Accepted().json(AcceptedBody::new()))
}

/// Changes one's own password. This login session goes on, every other one ends.
#[utoipa::path(
    post, path = "/api/v1/users/me/password", tag = "identity", request_body = PasswordBody,
    responses(
        (status = 204, description = "The password was changed"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`wrong_password` or `not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`stale_write`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_failures`", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = u64, description = "Seconds"))),
    ),
)]
pub(crate) async fn change_password(
    Caller(actor): Caller,
    body: JsonBody,
    accounts: Data<AccountService>,
) -> Result<HttpResponse, ApiError> {
    let PasswordBody { current_password, new_password } = body.parse()?;
    accounts.change_password(&actor, current_password.into(), new_password.into()).await?;
    Ok(HttpResponse::NoContent().finish())
}
