//! Family D: `/api/v1/users/{user_id}/conversations`, for the user or an administrator.

mod body;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Json, Path, Query},
};
use repartee_application::{
    Actor, AppError, Order, PageRequest,
    accounts::{StreamAccessService, UserAdminService},
    conversations::ConversationService,
    messages::MessageService,
    ports::{Branch, ConversationFilter},
};
use serde::Deserialize;
use utoipa::IntoParams;

use self::body::{ReconnectedBody, ValidityBody};
use crate::{
    ApiError,
    accounts::users,
    auth::Caller,
    body::JsonBody,
    conversations::{
        self, ConversationBody, FilterQuery, NewConversationBody, reference, stats::StatsBody,
    },
    cursor::{ListBody, PageQuery},
    messages::MessageBody,
    problem::Problem,
    time,
};

/// Messages that come with a conversation that is opened again.
const LAST_MESSAGES: u32 = 20;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SinceQuery {
    /// Those with activity at this time or later (RFC 3339).
    #[param(example = "2026-11-21T10:00:00Z")]
    since: Option<String>,
}

/// Whom the path names: oneself, or, for an administrator, anybody.
async fn owner(
    actor: &Actor,
    request: &HttpRequest,
    user: &str,
    users: &UserAdminService,
) -> Result<Actor, ApiError> {
    let route = request.match_pattern().unwrap_or_default();
    let place = format!("{} {route}", request.method());
    Ok(users.acting_for(actor, users::reference(user)?, &place).await?)
}

/// A user's conversations, newest activity first.
#[utoipa::path(
    get, path = "/api/v1/users/{user_id}/conversations", tag = "Family D: user-scoped conversations",
    params(("user_id" = String, Path, description = "Their id or code"), FilterQuery, PageQuery),
    responses(
        (status = 200, body = ListBody<ConversationBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_yours`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`user_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Caller(actor): Caller,
    request: HttpRequest,
    user: Path<String>,
    filter: Query<FilterQuery>,
    page: Query<PageQuery>,
    users: Data<UserAdminService>,
    conversations: Data<ConversationService>,
) -> Result<Json<ListBody<ConversationBody>>, ApiError> {
    let owner = owner(&actor, &request, &user, &users).await?;
    conversations::list(Caller(owner), filter, page, conversations).await
}

/// Begins a conversation of a user.
#[utoipa::path(
    post, path = "/api/v1/users/{user_id}/conversations", tag = "Family D: user-scoped conversations",
    request_body = NewConversationBody,
    params(
        ("user_id" = String, Path, description = "Their id or code"),
        ("Idempotency-Key" = Option<String>, Header, description = "A name for this request: repeated with the same body within 24 hours it answers the same conversation"),
    ),
    responses(
        (status = 201, body = ConversationBody, headers(("Location" = String), ("ETag" = String))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_yours`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`user_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`already_done`: what was made under this key was deleted since", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create(
    Caller(actor): Caller,
    request: HttpRequest,
    user: Path<String>,
    body: JsonBody,
    users: Data<UserAdminService>,
    conversations: Data<ConversationService>,
) -> Result<HttpResponse, ApiError> {
    let owner = owner(&actor, &request, &user, &users).await?;
    let place = format!("/api/v1/users/{}/conversations", owner.user);
    conversations::created(&owner, &request, &body, &conversations, &place).await
}

/// A user's conversations with the newest activity, for a list that is kept up to date.
#[utoipa::path(
    get, path = "/api/v1/users/{user_id}/conversations/recent", tag = "Family D: user-scoped conversations",
    params(("user_id" = String, Path, description = "Their id or code"), SinceQuery, PageQuery),
    responses(
        (status = 200, body = ListBody<ConversationBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_yours`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`user_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn recent(
    Caller(actor): Caller,
    request: HttpRequest,
    user: Path<String>,
    since: Query<SinceQuery>,
    page: Query<PageQuery>,
    users: Data<UserAdminService>,
    conversations: Data<ConversationService>,
) -> Result<Json<ListBody<ConversationBody>>, ApiError> {
    let owner = owner(&actor, &request, &user, &users).await?;
    let active_since = match &since.since {
        None => None,
        Some(text) => Some(
            time::parse(text)
                .ok_or_else(|| ApiError::invalid("since", "invalid", "must be an RFC 3339 time"))?,
        ),
    };
    let filter = ConversationFilter { active_since, ..ConversationFilter::default() };
    let page = conversations.list(&owner, filter, page.parse()?).await?;
    Ok(Json(ListBody::of(page)))
}

/// Opens a conversation again that was ended, archived, or left alone for a while.
///
/// The answer has its last messages, and a ticket for a stream or a socket.
#[utoipa::path(
    post, path = "/api/v1/users/{user_id}/conversations/{conversation_id}/reconnect",
    tag = "Family D: user-scoped conversations",
    params(
        ("user_id" = String, Path, description = "Their id or code"),
        ("conversation_id" = String, Path, description = "Its id or code"),
    ),
    responses(
        (status = 200, body = ReconnectedBody<'static>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_yours`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`user_not_found` or `conversation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`stale_write`: it was changed at the same moment", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn reconnect(
    Caller(actor): Caller,
    request: HttpRequest,
    path: Path<(String, String)>,
    users: Data<UserAdminService>,
    conversations: Data<ConversationService>,
    messages: Data<MessageService>,
    access: Data<StreamAccessService>,
) -> Result<HttpResponse, ApiError> {
    let (user, id) = path.into_inner();
    let owner = owner(&actor, &request, &user, &users).await?;
    let conversation = conversations.reconnect(&owner, reference(&id)?).await?;
    let last = PageRequest { limit: LAST_MESSAGES, after: None };
    let last = messages
        .list(&owner, conversation.id.into(), Branch::Newest, Order::Descending, last)
        .await?
        .items;
    let ticket = access.ticket_for(&actor, owner.user).await?;
    let last = last.iter().rev().map(MessageBody::from).collect();
    Ok(HttpResponse::Ok().json(ReconnectedBody::new(conversation, last, ticket)))
}

/// Whether there is such a conversation, and whether it takes messages.
#[utoipa::path(
    get, path = "/api/v1/users/{user_id}/conversations/{conversation_id}/validate",
    tag = "Family D: user-scoped conversations",
    params(
        ("user_id" = String, Path, description = "Their id or code"),
        ("conversation_id" = String, Path, description = "Its id or code"),
    ),
    responses(
        (status = 200, body = ValidityBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_yours`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`user_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn validate(
    Caller(actor): Caller,
    request: HttpRequest,
    path: Path<(String, String)>,
    users: Data<UserAdminService>,
    conversations: Data<ConversationService>,
) -> Result<Json<ValidityBody>, ApiError> {
    let (user, id) = path.into_inner();
    let owner = owner(&actor, &request, &user, &users).await?;
    let found = match reference(&id) {
        Ok(id) => conversations.find(&owner, id).await,
        Err(_) => Err(AppError::CONVERSATION_NOT_FOUND),
    };
    match found {
        Ok(conversation) => Ok(Json(ValidityBody::of(Some(&conversation)))),
        Err(AppError::NotFound { .. }) => Ok(Json(ValidityBody::of(None))),
        Err(error) => Err(error.into()),
    }
}

/// Ends a conversation: it takes no messages, until it is reconnected.
#[utoipa::path(
    post, path = "/api/v1/users/{user_id}/conversations/{conversation_id}/end", tag = "Family D: user-scoped conversations",
    params(
        ("user_id" = String, Path, description = "Their id or code"),
        ("conversation_id" = String, Path, description = "Its id or code"),
    ),
    responses(
        (status = 200, body = ConversationBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_yours`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`user_not_found` or `conversation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`stale_write`: it was changed at the same moment", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn end(
    Caller(actor): Caller,
    request: HttpRequest,
    path: Path<(String, String)>,
    users: Data<UserAdminService>,
    conversations: Data<ConversationService>,
) -> Result<Json<ConversationBody>, ApiError> {
    let (user, id) = path.into_inner();
    let owner = owner(&actor, &request, &user, &users).await?;
    Ok(Json(conversations.end(&owner, reference(&id)?).await?.into()))
}

/// What a conversation came to.
#[utoipa::path(
    get, path = "/api/v1/users/{user_id}/conversations/{conversation_id}/stats", tag = "Family D: user-scoped conversations",
    params(
        ("user_id" = String, Path, description = "Their id or code"),
        ("conversation_id" = String, Path, description = "Its id or code"),
    ),
    responses(
        (status = 200, body = StatsBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_yours`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`user_not_found` or `conversation_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn stats(
    Caller(actor): Caller,
    request: HttpRequest,
    path: Path<(String, String)>,
    users: Data<UserAdminService>,
    messages: Data<MessageService>,
) -> Result<Json<StatsBody>, ApiError> {
    let (user, id) = path.into_inner();
    let owner = owner(&actor, &request, &user, &users).await?;
    Ok(Json(messages.stats(&owner, reference(&id)?).await?.into()))
}

/// Deletes a conversation with everything in it, for good.
#[utoipa::path(
    delete, path = "/api/v1/users/{user_id}/conversations/{conversation_id}", tag = "Family D: user-scoped conversations",
    params(
        ("user_id" = String, Path, description = "Their id or code"),
        ("conversation_id" = String, Path, description = "Its id or code"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_yours`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`user_not_found` or `conversation_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    Caller(actor): Caller,
    request: HttpRequest,
    path: Path<(String, String)>,
    users: Data<UserAdminService>,
    conversations: Data<ConversationService>,
) -> Result<HttpResponse, ApiError> {
    let (user, id) = path.into_inner();
    let owner = owner(&actor, &request, &user, &users).await?;
    conversations.delete(&owner, reference(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}
