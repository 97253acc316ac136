//! `/api/v1/conversations`.

mod body;
pub(crate) mod stats;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{ETAG, LOCATION},
    web::{Data, Json, Path, Query},
};
use repartee_application::{
    Actor, AppError,
    conversations::ConversationService,
    ports::{ConversationFilter, ConversationReference},
};
use repartee_domain::{
    Text,
    conversations::{Conversation, ConversationStatusName},
};
use serde::Deserialize;
use utoipa::IntoParams;

pub(crate) use self::body::{ChangeConversationBody, ConversationBody, NewConversationBody};
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

/// Characters of a title to look for.
const MAX_QUERY: usize = 200;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FilterQuery {
    /// Any of `active`, `ended`, `archived`, separated by commas.
    status: Option<String>,
    /// Those with this persona.
    #[param(value_type = Option<i64>)]
    persona_id: Option<String>,
    /// Those in this project.
    #[param(value_type = Option<i64>)]
    project_id: Option<String>,
    /// Part of the title.
    q: Option<String>,
}

/// Own conversations, newest activity first.
#[utoipa::path(
    get, path = "/api/v1/conversations", tag = "conversations", params(FilterQuery, PageQuery),
    responses(
        (status = 200, body = ListBody<ConversationBody>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Caller(actor): Caller,
    filter: Query<FilterQuery>,
    page: Query<PageQuery>,
    conversations: Data<ConversationService>,
) -> Result<Json<ListBody<ConversationBody>>, ApiError> {
    let page = conversations.list(&actor, filter.into_inner().parse()?, page.parse()?).await?;
    Ok(Json(ListBody::of(page)))
}

/// Begins a conversation.
#[utoipa::path(
    post, path = "/api/v1/conversations", tag = "conversations", request_body = NewConversationBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "A name for this request, like a UUID: repeated with the same body within 24 hours it answers the same conversation", example = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f")),
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
    created(&actor, &request, &body, &conversations, "/api/v1/conversations").await
}

/// Begins a conversation, which is then found under `place`.
pub(crate) async fn created(
    actor: &Actor,
    request: &HttpRequest,
    body: &JsonBody,
    conversations: &ConversationService,
    place: &str,
) -> Result<HttpResponse, ApiError> {
    let about: NewConversationBody = body.parse()?;
    let key = idempotency_key(request, None, &[body.bytes()])?;
    let conversation = conversations.create(actor, about.try_into()?, key).await?;
    let tag = entity_tag(conversation.version);
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("{place}/{}", conversation.id)))
        .insert_header((ETAG, tag))
        .json(ConversationBody::from(conversation)))
}

/// One conversation.
#[utoipa::path(
    get, path = "/api/v1/conversations/{conversation_id}", tag = "conversations",
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
    Caller(actor): Caller,
    id: Path<String>,
    conversations: Data<ConversationService>,
) -> Result<HttpResponse, ApiError> {
    Ok(answer(conversations.find(&actor, reference(&id)?).await?))
}

/// Changes the fields that are named: renames, archives, and so on.
#[utoipa::path(
    patch, path = "/api/v1/conversations/{conversation_id}", tag = "conversations",
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
    Caller(actor): Caller,
    request: HttpRequest,
    id: Path<String>,
    body: JsonBody,
    conversations: Data<ConversationService>,
) -> Result<HttpResponse, ApiError> {
    let id = reference(&id)?;
    let changes = match body.parse::<ChangeConversationBody>().and_then(TryInto::try_into) {
        Ok(changes) => changes,
        Err(error) => {
            // A missing resource is told before a bad body.
            conversations.find(&actor, id).await?;
            return Err(error);
        }
    };
    let expected = if_match(&request)?;
    Ok(answer(conversations.change(&actor, id, changes, expected).await?))
}

/// The same as PATCH.
#[utoipa::path(
    put, path = "/api/v1/conversations/{conversation_id}", tag = "conversations",
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
pub(crate) async fn replace(
    caller: Caller,
    request: HttpRequest,
    id: Path<String>,
    body: JsonBody,
    conversations: Data<ConversationService>,
) -> Result<HttpResponse, ApiError> {
    change(caller, request, id, body, conversations).await
}

/// Deletes a conversation with everything in it, for good.
#[utoipa::path(
    delete, path = "/api/v1/conversations/{conversation_id}", tag = "conversations",
    params(("conversation_id" = String, Path, description = "Its id or code")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn delete(
    Caller(actor): Caller,
    id: Path<String>,
    conversations: Data<ConversationService>,
) -> Result<HttpResponse, ApiError> {
    conversations.delete(&actor, reference(&id)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// An id or a code from a path. What neither could be is not there.
pub(crate) fn reference(text: &str) -> Result<ConversationReference, ApiError> {
    ConversationReference::parse(text).ok_or(AppError::CONVERSATION_NOT_FOUND.into())
}

fn answer(conversation: Conversation) -> HttpResponse {
    let tag = entity_tag(conversation.version);
    HttpResponse::Ok().insert_header((ETAG, tag)).json(ConversationBody::from(conversation))
}

/// NUL is in no title, and PostgreSQL refuses to look for it.
fn title(text: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let text = Text::parse_or_empty(text, MAX_QUERY).map_err(|error| error.in_field("q"));
    Ok(Some(text.map_err(AppError::invalid)?.into_string()))
}

impl FilterQuery {
    fn parse(self) -> Result<ConversationFilter, ApiError> {
        let names = self.status.as_deref().unwrap_or_default().split(',').map(str::trim);
        let statuses = names
            .filter(|name| !name.is_empty())
            .map(str::parse::<ConversationStatusName>)
            .collect::<Result<_, _>>()
            .map_err(|error| ApiError::invalid("status", "invalid", error.to_string()))?;
        Ok(ConversationFilter {
            statuses,
            title: title(self.q)?,
            active_since: None,
            project: query::id("project_id", self.project_id.as_deref())?,
            persona: query::id("persona_id", self.persona_id.as_deref())?,
        })
    }
}
