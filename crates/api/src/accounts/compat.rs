//! Accounts for clients that don't refresh: `/users/register` and `/users/login`.

use actix_web::{HttpRequest, HttpResponse, web::Data};
use repartee_application::accounts::{
    AccountService, LogIn, NewAccount, Registered, SignedIn, UNREFRESHED,
};
use repartee_domain::accounts::ProfileChanges;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AcceptedBody, UserBody, secret};
use crate::{ApiError, auth::origin, body::JsonBody, problem::Problem};

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"email": "ada@example.com", "password": "analytical1"}))]
pub(crate) struct EmailAndPasswordBody {
    email: String,
    #[schema(value_type = String)]
    password: SecretString,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AccessTokenBody {
    access_token: String,
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// Seconds that it is good for.
    #[schema(example = 3600)]
    expires_in: i64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RegisteredBody {
    #[serde(flatten)]
    user: UserBody,
    #[serde(flatten)]
    token: AccessTokenBody,
}

/// Registers a user. The answer has an access token as well, good for 60 minutes.
///
/// Where the server hides who is registered, the answer is always the same, and a mail says the rest.
#[utoipa::path(
    post, path = "/users/register", tag = "Family E: projects", request_body = EmailAndPasswordBody,
    responses(
        (status = 201, body = RegisteredBody),
        (status = 202, description = "With `auth.hide_registration`", body = AcceptedBody),
        (status = 403, description = "`registration_closed`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`email_taken`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(crate) async fn register(
    request: HttpRequest,
    body: JsonBody,
    accounts: Data<AccountService>,
) -> Result<HttpResponse, ApiError> {
    let EmailAndPasswordBody { email, password } = body.parse()?;
    let account = NewAccount { email, password, profile: ProfileChanges::default() };
    let registered = accounts.register_for(account, UNREFRESHED, &origin(&request)).await?;
    Ok(match registered {
        Registered::SignedIn(signed_in) => {
            let token = AccessTokenBody::of(&signed_in);
            secret(HttpResponse::Created())
                .json(RegisteredBody { user: signed_in.user.into(), token })
        }
        Registered::ToldByMail => HttpResponse::Accepted().json(AcceptedBody::new()),
    })
}

/// Signs somebody in, for 60 minutes: there is no refresh token.
#[utoipa::path(
    post, path = "/users/login", tag = "Family E: projects", request_body = EmailAndPasswordBody,
    responses(
        (status = 200, body = AccessTokenBody),
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
    let EmailAndPasswordBody { email, password } = body.parse()?;
    let log_in = LogIn { name: email, password };
    let signed_in = accounts.log_in_for(log_in, UNREFRESHED, &origin(&request)).await?;
    Ok(secret(HttpResponse::Ok()).json(AccessTokenBody::of(&signed_in)))
}

impl AccessTokenBody {
    fn of(signed_in: &SignedIn) -> Self {
        Self {
            access_token: signed_in.tokens.access.expose_secret().to_owned(),
            token_type: "bearer",
            expires_in: signed_in.tokens.expires_in.num_seconds(),
        }
    }
}
