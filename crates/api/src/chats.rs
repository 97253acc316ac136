//! Family B: `/api/v1/chats`, which are conversations by another name.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Json, Path, Query},
};
use repartee_application::conversations::ConversationService;

use crate::{
    ApiError,
    auth::Caller,
    body::JsonBody,
    conversations::{
        self, ChangeConversationBody, ConversationBody, FilterQuery, NewConversationBody, reference,
    },
    cursor::{ListBody, PageQuery},
    problem::Problem,
};

/// Own chats, newest activity first.
#[utoipa::path(
    get, path = "/api/v1/chats", tag = "Family B: chats", params(FilterQuery, PageQuery),
    responses(
        (status = 200, body = ListBody<ConversationBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    caller: Caller,
    filter: Query<FilterQuery>,
    page: Query<PageQuery>,
    conversations: Data<ConversationService>,
) -> Result<Json<ListBody<ConversationBody>>, ApiError> {
    conversations::list(caller, filter, page, conversations).await
}

/// Begins a chat. Its messages are sent with `GET /api/v1/stream/chat/{id}`.
#[utoipa::path(
    post, path = "/api/v1/chats", tag = "Family B: chats", request_body = NewConversationBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "A name for this request: repeated with the same body within 24 hours it answers the same chat")),
    responses(
        (status = 201, body = ConversationBody, headers(("Location" = String), ("ETag" = String))),
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
    conversations::created(&actor, &request, &body, &conversations, "/api/v1/chats").await
}

/// One chat.
#[utoipa::path(
    get, path = "/api/v1/chats/{conversation_id}", tag = "Family B: chats",
    params(
        ("conversation_id" = String, Path, description = "Its id or code"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` that was read"),
    ),
    responses(
        (status = 200, body = ConversationBody, headers(("ETag" = String))),
        (status = 304, description = "It is as it was read"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn find(
    caller: Caller,
    id: Path<String>,
    conversations: Data<ConversationService>,
) -> Result<HttpResponse, ApiError> {
    conversations::find(caller, id, conversations).await
}

/// Changes the fields that are named.
#[utoipa::path(
    put, path = "/api/v1/chats/{conversation_id}", tag = "Family B: chats",
    request_body = ChangeConversationBody,
    params(
        ("conversation_id" = String, Path, description = "Its id or code"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read"),
    ),
    responses(
        (status = 200, body = ConversationBody, headers(("ETag" = String))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`stale_write`", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "`version_mismatch`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn change(
    caller: Caller,
    request: HttpRequest,
    id: Path<String>,
    body: JsonBody,
    conversations: Data<ConversationService>,
) -> Result<HttpResponse, ApiError> {
    conversations::change(caller, request, id, body, conversations).await
}

/// Archives a chat: it takes no messages any more, until its status is `active` again.
#[utoipa::path(
    delete, path = "/api/v1/chats/{conversation_id}", tag = "Family B: chats",
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
