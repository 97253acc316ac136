//! Links by which anyone reads a conversation: `…/share`, and what they open.

mod body;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderName, HeaderValue},
    web::{Data, Path, Query},
};
use repartee_application::{conversations::ConversationService, sharing::SharingService};

use self::body::{ShareBody, SharedBody, SharedLinkBody};
use crate::{
    ApiError,
    auth::Caller,
    body::JsonBody,
    conversations::reference,
    cursor::PageQuery,
    edge::{EdgeSettings, base_url},
    idempotency::idempotency_key,
    problem::Problem,
};

/// What is shared with some is not for search engines.
const ROBOTS: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex, nofollow"));

/// Makes a link by which anyone reads the conversation as it is now.
///
/// It shows title and messages of the active branch: nothing of what comes later, no system
/// messages, and nothing of who you are. The `token` is shown this once. A conversation has one
/// link: the one before opens nothing any more.
#[utoipa::path(
    post, path = "/api/v1/conversations/{conversation_id}/share", tag = "sharing",
    request_body = ShareBody,
    params(
        ("conversation_id" = String, Path, description = "Its id or code"),
        ("Idempotency-Key" = Option<String>, Header, description = "A name for this request, like a UUID: repeated with the same body within 24 hours it makes no second link, and answers `already_done`", example = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f"),
    ),
    responses(
        (status = 201, body = SharedLinkBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`already_done`: a link was made under this key before, and its token is not shown again", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn share(
    Caller(actor): Caller,
    request: HttpRequest,
    id: Path<String>,
    body: JsonBody,
    conversations: Data<ConversationService>,
    sharing: Data<SharingService>,
    edge: Data<EdgeSettings>,
) -> Result<HttpResponse, ApiError> {
    let id = reference(&id)?;
    let ShareBody { expires_in_days } = match body.parse() {
        Ok(body) => body,
        Err(error) => {
            // A missing resource is told before a bad body.
            conversations.find(&actor, id).await?;
            return Err(error);
        }
    };
    let key = idempotency_key(&request, None, &[body.bytes()])?;
    let link = sharing.share(&actor, id, expires_in_days, key).await?;
    let base = base_url(&request, edge.public_url.as_deref());
    Ok(HttpResponse::Created().json(SharedLinkBody::of(link, &base)))
}

/// Ends the link of a conversation: it opens nothing from now on.
#[utoipa::path(
    delete, path = "/api/v1/conversations/{conversation_id}/share", tag = "sharing",
    params(("conversation_id" = String, Path, description = "Its id or code")),
    responses(
        (status = 204, description = "Ended"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`, or `shared_link_not_found`: it has none", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn unshare(
    Caller(actor): Caller,
    id: Path<String>,
    sharing: Data<SharingService>,
) -> Result<HttpResponse, ApiError> {
    sharing.unshare(&actor, reference(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What a link shows, oldest first.
#[utoipa::path(
    get, path = "/api/v1/shared/{token}", tag = "sharing",
    params(("token" = String, Path, description = "What the link was made with"), PageQuery),
    responses(
        (status = 200, body = SharedBody),
        (status = 404, description = "`shared_link_not_found`: unknown, ended, or expired", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
    security(()),
)]
pub(crate) async fn shared(
    token: Path<String>,
    page: Query<PageQuery>,
    sharing: Data<SharingService>,
) -> Result<HttpResponse, ApiError> {
    let snapshot = sharing.read(&token, page.parse()?).await?;
    Ok(HttpResponse::Ok().insert_header(ROBOTS).json(SharedBody::from(snapshot)))
}
