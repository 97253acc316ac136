//! Family A: `/api/sessions`, which are conversations by another name.

mod body;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::LINK,
    web::{Data, Json, Path, Query},
};
use repartee_application::{
    conversations::ConversationService,
    ports::{ConversationFilter, ConversationKey},
};

use self::body::{ChangeSessionBody, NewSessionBody, SessionBody};
use crate::{
    ApiError,
    auth::Caller,
    body::JsonBody,
    conversations::reference,
    cursor::{PageQuery, encode},
    idempotency::idempotency_key,
    problem::Problem,
};

/// Own sessions, newest activity first, archived ones too. Where there are more, the header `Link`
/// (RFC 8288) says where to read on.
#[utoipa::path(
    get, path = "/api/sessions", tag = "Family A: sessions and personas", params(PageQuery),
    responses(
        (status = 200, body = Vec<SessionBody>, headers(("Link" = String, description = "`<…>; rel=\"next\"`, where there are more"))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Caller(actor): Caller,
    page: Query<PageQuery>,
    conversations: Data<ConversationService>,
) -> Result<HttpResponse, ApiError> {
    let request = page.parse::<ConversationKey>()?;
    let limit = request.limit;
    let page = conversations.list(&actor, ConversationFilter::default(), request).await?;
    let mut response = HttpResponse::Ok();
    if let Some(next) = &page.next {
        let next = encode(next);
        let link = format!("</api/sessions?limit={limit}&cursor={next}>; rel=\"next\"");
        response.insert_header((LINK, link));
    }
    let sessions = page.items.into_iter().map(SessionBody::from);
    Ok(response.json(sessions.collect::<Vec<_>>()))
}

/// Begins a session. Its messages are sent with `POST /api/chat`, under its id.
#[utoipa::path(
    post, path = "/api/sessions", tag = "Family A: sessions and personas",
    request_body = NewSessionBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "A name for this request: repeated with the same body within 24 hours it answers the same session")),
    responses(
        (status = 201, body = SessionBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`already_done`: what was made under this key was deleted since", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(
    Caller(actor): Caller,
    request: HttpRequest,
    body: JsonBody,
    conversations: Data<ConversationService>,
) -> Result<HttpResponse, ApiError> {
    let about: NewSessionBody = body.parse()?;
    let key = idempotency_key(&request, None, &[body.bytes()])?;
    let made = conversations.create(&actor, about.into(), key).await?;
    Ok(HttpResponse::Created().json(SessionBody::from(made)))
}

/// Changes the fields that are named: renames, archives, gives another persona.
#[utoipa::path(
    put, path = "/api/sessions/{conversation_id}", tag = "Family A: sessions and personas",
    request_body = ChangeSessionBody,
    params(("conversation_id" = String, Path, description = "Its id or code")),
    responses(
        (status = 200, body = SessionBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`stale_write`: it was changed at the same moment", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn change(
    Caller(actor): Caller,
    id: Path<String>,
    body: JsonBody,
    conversations: Data<ConversationService>,
) -> Result<Json<SessionBody>, ApiError> {
    let id = reference(&id)?;
    let changes: ChangeSessionBody = match body.parse() {
        Ok(changes) => changes,
        Err(error) => {
            // A missing resource is told before a bad body.
            conversations.find(&actor, id).await?;
            return Err(error);
        }
    };
    Ok(Json(conversations.change(&actor, id, changes.into(), None).await?.into()))
}

/// Archives a session: it takes no messages, until `is_archived` is false again.
#[utoipa::path(
    delete, path = "/api/sessions/{conversation_id}", tag = "Family A: sessions and personas",
    params(("conversation_id" = String, Path, description = "Its id or code")),
    responses(
        (status = 204, description = "Archived"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`stale_write`: it was changed at the same moment", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn archive(
    Caller(actor): Caller,
    id: Path<String>,
    conversations: Data<ConversationService>,
) -> Result<HttpResponse, ApiError> {
    conversations.archive(&actor, reference(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}
