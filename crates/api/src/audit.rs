//! `/api/v1/audit-logs`.

mod body;

use actix_web::{
    HttpResponse,
    http::header::CONTENT_DISPOSITION,
    web::{Data, Json, Query},
};
use bytes::{BufMut, Bytes, BytesMut};
use futures::{Stream, stream};
use repartee_application::{
    Actor, Page,
    audit::AuditService,
    ports::{AuditFilter, AuditKey, RecordedEntry},
};
use repartee_domain::{
    UserId,
    audit::{Action, AuditOutcome},
};
use serde::Deserialize;
use utoipa::IntoParams;

use self::body::{AuditEntryBody, VerificationBody};
use crate::{
    ApiError,
    auth::Caller,
    cursor::{ListBody, PageQuery},
    json,
    problem::Problem,
    time,
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FilterQuery {
    /// The id of whom it was done by.
    user_id: Option<String>,
    /// What happened, like `login` or `access_denied`.
    action: Option<String>,
    /// `success`, `failure` or `denied`.
    outcome: Option<String>,
    /// The first instant (RFC 3339).
    #[param(example = "2026-11-21T00:00:00Z")]
    from: Option<String>,
    /// The first instant after the last (RFC 3339).
    #[param(example = "2026-11-22T00:00:00Z")]
    to: Option<String>,
}

/// What happened on this server, newest first.
///
/// What is personal (`ip_address`, `user_agent`) is null once the person was erased. Reading the
/// log is an entry in it.
#[utoipa::path(
    get, path = "/api/v1/audit-logs", tag = "audit", params(FilterQuery, PageQuery),
    responses(
        (status = 200, body = ListBody<AuditEntryBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden` unless you are an administrator; `not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Caller(actor): Caller,
    filter: Query<FilterQuery>,
    page: Query<PageQuery>,
    audit: Data<AuditService>,
) -> Result<Json<ListBody<AuditEntryBody>>, ApiError> {
    let page = audit.list(&actor, filter.parse()?, page.parse()?).await?;
    Ok(Json(ListBody::of(page)))
}

/// Whether the log is as it was written.
///
/// Every entry holds the hash of the one before, and the server keeps and logs the newest hash
/// once a day: compare `head` and the logged anchors with what you kept elsewhere.
#[utoipa::path(
    get, path = "/api/v1/audit-logs/verify", tag = "audit",
    responses(
        (status = 200, body = VerificationBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden` unless you are an administrator; `not_for_keys`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn verify(
    Caller(actor): Caller,
    audit: Data<AuditService>,
) -> Result<Json<VerificationBody>, ApiError> {
    Ok(Json(audit.verify(&actor).await?.into()))
}

/// All that the filter lets through, newest first: one JSON object a line.
#[utoipa::path(
    get, path = "/api/v1/audit-logs/export", tag = "audit", params(FilterQuery),
    responses(
        (status = 200, description = "Entries as in the list, one a line", body = String, content_type = "application/x-ndjson"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`forbidden` unless you are an administrator; `not_for_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn export(
    Caller(actor): Caller,
    filter: Query<FilterQuery>,
    audit: Data<AuditService>,
) -> Result<HttpResponse, ApiError> {
    let filter = filter.parse()?;
    let first = audit.export(&actor, filter.clone()).await?;
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"audit-logs.ndjson\""))
        .streaming(lines(audit, actor, filter, first)))
}

/// A portion at a time, each read once the one before was sent. One that cannot be read cuts the
/// answer off, so that nobody takes it for whole.
fn lines(
    audit: Data<AuditService>,
    actor: Actor,
    filter: AuditFilter,
    first: Page<RecordedEntry, AuditKey>,
) -> impl Stream<Item = Result<Bytes, ApiError>> {
    enum Next {
        Send(Page<RecordedEntry, AuditKey>),
        Read(AuditKey),
        Nothing,
    }
    stream::try_unfold(Next::Send(first), move |next| {
        let (audit, actor, filter) = (audit.clone(), actor.clone(), filter.clone());
        async move {
            let page = match next {
                Next::Send(page) => page,
                Next::Read(after) => {
                    let page = audit.export_on(&actor, filter, after).await;
                    page.map_err(ApiError::from).inspect_err(ApiError::log)?
                }
                Next::Nothing => return Ok(None),
            };
            let mut lines = BytesMut::new();
            for entry in page.items {
                lines.extend_from_slice(&json::to_bytes(&AuditEntryBody::from(entry)));
                lines.put_u8(b'\n');
            }
            Ok(Some((lines.freeze(), page.next.map_or(Next::Nothing, Next::Read))))
        }
    })
}

impl FilterQuery {
    fn parse(&self) -> Result<AuditFilter, ApiError> {
        let instant = |field: &str, text: &Option<String>| {
            let invalid = || ApiError::invalid(field, "invalid", "must be a time (RFC 3339)");
            text.as_deref().map(|text| time::parse(text).ok_or_else(invalid)).transpose()
        };
        let user = self.user_id.as_deref().map(str::parse::<UserId>).transpose();
        let action = self.action.as_deref().map(str::parse::<Action>).transpose();
        let outcome = self.outcome.as_deref().map(str::parse::<AuditOutcome>).transpose();
        let refused = |field: &str, detail: &str| ApiError::invalid(field, "invalid", detail);
        Ok(AuditFilter {
            user: user.map_err(|_| refused("user_id", "must be the id of a user"))?,
            action: action.map_err(|_| refused("action", "the log knows no such action"))?,
            outcome: outcome
                .map_err(|_| refused("outcome", "must be success, failure or denied"))?,
            from: instant("from", &self.from)?,
            to: instant("to", &self.to)?,
        })
    }
}
