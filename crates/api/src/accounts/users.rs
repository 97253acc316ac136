//! `/api/v1/users`.

mod body;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{ETAG, LOCATION},
    web::{Data, Json, Path, Query},
};
use repartee_application::{
    AppError,
    accounts::UserAdminService,
    ports::{UserFilter, UserReference},
};
use repartee_domain::{Text, accounts::User};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::IntoParams;

use self::body::{AccountBody, NewUserBody, role};
use super::body::UserBody;
use crate::{
    ApiError,
    auth::Caller,
    body::JsonBody,
    cursor::{ListBody, PageQuery},
    edge::{entity_tag, if_match},
    idempotency::idempotency_key,
    problem::Problem,
    query,
};

/// Characters of a name to look for.
const MAX_QUERY: usize = 254;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FilterQuery {
    /// `user`, `manager` or `admin`.
    role: Option<String>,
    /// `true` or `false`.
    #[param(value_type = Option<bool>)]
    is_active: Option<String>,
    /// What the address or the username begins with.
    q: Option<String>,
}

/// All users, newest first. For managers and administrators.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "users", params(FilterQuery, PageQuery),
    responses(
        (status = 200, body = ListBody<UserBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden` or `not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Caller(actor): Caller,
    filter: Query<FilterQuery>,
    page: Query<PageQuery>,
    users: Data<UserAdminService>,
) -> Result<Json<ListBody<UserBody>>, ApiError> {
    let page = users.list(&actor, filter.into_inner().parse()?, page.parse()?).await?;
    Ok(Json(ListBody::of(page)))
}

/// Makes a user. For administrators. Without a password, a link to choose one is mailed.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "users", request_body = NewUserBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "A name for this request, like a UUID: repeated with the same body within 24 hours it answers the same user, and mails nothing. Passwords are not compared", example = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f")),
    responses(
        (status = 201, body = UserBody, headers(("Location" = String), ("ETag" = String))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden` or `not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`email_taken`, `username_taken`, or `already_done`: who was made under this key was deleted since", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn make(
    Caller(actor): Caller,
    request: HttpRequest,
    body: JsonBody,
    users: Data<UserAdminService>,
) -> Result<HttpResponse, ApiError> {
    let new: NewUserBody = body.parse()?;
    let key = idempotency_key(&request, None, &[without_password(&body)?.as_slice()])?;
    let user = users.make(&actor, new.try_into()?, key).await?;
    let location = format!("/api/v1/users/{}", user.id);
    let tag = entity_tag(user.version);
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, location))
        .insert_header((ETAG, tag))
        .json(UserBody::from(user)))
}

/// What is asked for, and whether with a password: what is stored of a request is a quick hash,
/// from which one could be guessed.
fn without_password(body: &JsonBody) -> Result<Vec<u8>, ApiError> {
    let mut asked: Map<String, Value> = body.parse()?;
    if let Some(password) = asked.get_mut("password") {
        *password = Value::Bool(!password.is_null());
    }
    Ok(Value::Object(asked).to_string().into_bytes())
}

/// One user: oneself, or anybody for administrators.
#[utoipa::path(
    get, path = "/api/v1/users/{user_id}", tag = "users",
    params(("user_id" = String, Path, description = "Their id or code")),
    responses(
        (status = 200, body = UserBody, headers(("ETag" = String))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`user_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn find(
    Caller(actor): Caller,
    id: Path<String>,
    users: Data<UserAdminService>,
) -> Result<HttpResponse, ApiError> {
    Ok(answer(users.find(&actor, reference(&id)?).await?))
}

/// Changes role, address and whether the user is active. For administrators.
///
/// Who is deactivated is signed out everywhere, and their API keys stop. The last active
/// administrator stays one.
#[utoipa::path(
    patch, path = "/api/v1/users/{user_id}", tag = "users", request_body = AccountBody,
    params(
        ("user_id" = String, Path, description = "Their id or code"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read"),
    ),
    responses(
        (status = 200, body = UserBody, headers(("ETag" = String))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden` or `not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`user_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`last_admin`, `email_taken` or `stale_write`", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "`version_mismatch`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn change(
    Caller(actor): Caller,
    request: HttpRequest,
    id: Path<String>,
    body: JsonBody,
    users: Data<UserAdminService>,
) -> Result<HttpResponse, ApiError> {
    let id = reference(&id)?;
    let changes = match body.parse::<AccountBody>().and_then(TryInto::try_into) {
        Ok(changes) => changes,
        Err(error) => {
            // A missing resource is told before a bad body.
            users.find(&actor, id).await?;
            return Err(error);
        }
    };
    let expected = if_match(&request)?;
    Ok(answer(users.change(&actor, id, changes, expected).await?))
}

/// Deletes a user with everything that is theirs, for good. For administrators.
#[utoipa::path(
    delete, path = "/api/v1/users/{user_id}", tag = "users",
    params(("user_id" = String, Path, description = "Their id or code")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden` or `not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`user_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`last_admin` or `stale_write`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    Caller(actor): Caller,
    id: Path<String>,
    users: Data<UserAdminService>,
) -> Result<HttpResponse, ApiError> {
    users.delete(&actor, reference(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// An id or a code from a path. What neither could be is not there.
pub(crate) fn reference(text: &str) -> Result<UserReference, ApiError> {
    UserReference::parse(text).ok_or(AppError::USER_NOT_FOUND.into())
}

fn answer(user: User) -> HttpResponse {
    let tag = entity_tag(user.version);
    HttpResponse::Ok().insert_header((ETAG, tag)).json(UserBody::from(user))
}

impl FilterQuery {
    fn parse(self) -> Result<UserFilter, ApiError> {
        let wanted = self.role.filter(|text| !text.is_empty());
        Ok(UserFilter {
            role: wanted.map(|text| role(&text)).transpose()?,
            is_active: query::flag("is_active", self.is_active.as_deref())?,
            prefix: prefix(self.q)?,
        })
    }
}

/// NUL is in no name, and PostgreSQL refuses to look for it.
fn prefix(text: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let text = Text::parse_or_empty(text, MAX_QUERY).map_err(|error| error.in_field("q"));
    let text = text.map_err(AppError::invalid)?.into_string();
    Ok(Some(text.trim().to_lowercase()))
}
