//! `/api/v1/auth/sessions`.

use actix_web::{
    HttpResponse,
    web::{Data, Json, Path, Query},
};
use chrono::{DateTime, Utc};
use repartee_application::{AppError, accounts::AccountService, ports::Device};
use repartee_domain::LoginSessionId;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    ApiError,
    auth::Caller,
    cursor::{ListBody, PageQuery, encode},
    problem::Problem,
    time::rfc3339,
};

/// A signed-in device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceBody {
    id: Uuid,
    user_agent: Option<String>,
    #[schema(example = "192.0.2.7")]
    ip: Option<String>,
    #[serde(serialize_with = "rfc3339")]
    signed_in_at: DateTime<Utc>,
    /// When its tokens were last renewed.
    #[serde(serialize_with = "rfc3339")]
    last_used_at: DateTime<Utc>,
    /// When it is signed out, unless it is used before.
    #[serde(serialize_with = "rfc3339")]
    expires_at: DateTime<Utc>,
    /// Whether it is the one that asks.
    is_current: bool,
}

impl DeviceBody {
    fn of(device: Device, current: Option<LoginSessionId>) -> Self {
        Self {
            id: device.id.as_uuid(),
            user_agent: device.user_agent,
            ip: device.ip,
            signed_in_at: device.signed_in_at,
            last_used_at: device.last_used_at,
            expires_at: device.expires_at,
            is_current: current == Some(device.id),
        }
    }
}

/// The devices that the caller is signed in with, newest first.
#[utoipa::path(
    get, path = "/api/v1/auth/sessions", tag = "identity", params(PageQuery),
    responses(
        (status = 200, body = ListBody<DeviceBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Caller(actor): Caller,
    page: Query<PageQuery>,
    accounts: Data<AccountService>,
) -> Result<Json<ListBody<DeviceBody>>, ApiError> {
    let page = accounts.devices(&actor, page.parse()?).await?;
    let current = actor.session();
    let data = page.items.into_iter().map(|device| DeviceBody::of(device, current)).collect();
    Ok(Json(ListBody { data, next_cursor: page.next.as_ref().map(encode) }))
}

/// Signs one of the caller's devices out: its tokens are refused, its streams and sockets close.
#[utoipa::path(
    delete, path = "/api/v1/auth/sessions/{session_id}", tag = "identity",
    params(("session_id" = String, Path, description = "Its id")),
    responses(
        (status = 204, description = "Signed out"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`session_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn sign_out(
    Caller(actor): Caller,
    id: Path<String>,
    accounts: Data<AccountService>,
) -> Result<HttpResponse, ApiError> {
    let device = id.parse().map_err(|_| AppError::SESSION_NOT_FOUND)?;
    accounts.sign_out(&actor, device).await?;
    Ok(HttpResponse::NoContent().finish())
}
