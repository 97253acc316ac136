//! `/api/v1/events`: what happens to somebody, or in one conversation, from whichever device.

mod body;
mod frames;

use actix_web::{
    HttpRequest, HttpResponse,
    http::Method,
    web::{Data, Path, Query},
};
use futures::StreamExt;
use repartee_application::{
    feeds::{FeedCursor, FeedService},
    ports::ConversationReference,
};
use serde::Deserialize;
use utoipa::IntoParams;

pub(crate) use self::body::MessageCreatedData;
use self::frames::frame;
use crate::{
    ApiError,
    auth::StreamCaller,
    conversations::reference,
    problem::Problem,
    replies::last_event_text,
    sse::{self, Lifetimes, PREAMBLE},
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FeedQuery {
    /// The id of the last event that was read, where no header can be set.
    last_event_id: Option<String>,
    /// An access token, where no header can be set.
    #[serde(rename = "token")]
    #[param(rename = "token")]
    _token: Option<String>,
    /// A ticket, where no header can be set.
    #[serde(rename = "ticket")]
    #[param(rename = "ticket")]
    _ticket: Option<String>,
}

/// Everything that happens to the caller, from now on, or after `Last-Event-ID`.
///
/// Events: `conversation.created`, `conversation.updated`, `conversation.archived`,
/// `conversation.deleted`, `message.created`, `generation.started`, `generation.delta`,
/// `generation.ended`, and `reset` where what came after the cursor was forgotten: load everything
/// anew. Replies that are being written when a feed begins are told from their beginning. The
/// content of messages over 16 KiB is left out, and marked with `content_omitted`. The feed ends
/// when the token that opened it runs out: come back with the next one.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "feeds",
    params(
        FeedQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Goes on after this event"),
    ),
    responses(
        (status = 200, description = "The events", content((String = "text/event-stream", example = "retry: 3000\nid: 17\n\nid: 18\nevent: conversation.deleted\ndata: {\"conversation_id\":\"01939c2e-7b9a-7000-8000-000000000000\"}\n\n"))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`: the event id is none", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_streams`: close one", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn events(
    caller: StreamCaller,
    request: HttpRequest,
    query: Query<FeedQuery>,
    feeds: Data<FeedService>,
    lifetimes: Lifetimes,
) -> Result<HttpResponse, ApiError> {
    feed(&caller, &request, &query, None, &feeds, &lifetimes).await
}

/// Everything that happens in one conversation, from now on, or after `Last-Event-ID`.
///
/// The events of `/api/v1/events` that belong to it. The feed ends when the conversation is
/// deleted, or when the token runs out.
#[utoipa::path(
    get, path = "/api/v1/conversations/{conversation_id}/events", tag = "feeds",
    params(
        ("conversation_id" = String, Path, description = "Its id or code"),
        FeedQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Goes on after this event"),
    ),
    responses(
        (status = 200, description = "The events", content((String = "text/event-stream", example = "retry: 3000\nid: 17\n\nid: 17;01939c2e-7b9a-7000-8000-000000000001:2\nevent: generation.delta\ndata: {\"conversation_id\":\"01939c2e-7b9a-7000-8000-000000000000\",\"generation_id\":\"01939c2e-7b9a-7000-8000-000000000001\",\"seq\":2,\"text\":\"Green\"}\n\n"))),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`: the event id is none", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_streams`: close one", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn conversation_events(
    caller: StreamCaller,
    request: HttpRequest,
    id: Path<String>,
    query: Query<FeedQuery>,
    feeds: Data<FeedService>,
    lifetimes: Lifetimes,
) -> Result<HttpResponse, ApiError> {
    let id = reference(&id)?;
    feed(&caller, &request, &query, Some(id), &feeds, &lifetimes).await
}

async fn feed(
    caller: &StreamCaller,
    request: &HttpRequest,
    query: &FeedQuery,
    conversation: Option<ConversationReference>,
    feeds: &FeedService,
    lifetimes: &Lifetimes,
) -> Result<HttpResponse, ApiError> {
    let actor = caller.access.actor.clone();
    let cursor =
        match last_event_text(request, query.last_event_id.as_deref()) {
            Some(text) => Some(text.parse::<FeedCursor>().map_err(|error| {
                ApiError::invalid("last_event_id", "invalid", error.to_string())
            })?),
            None => None,
        };
    let feed = feeds.subscribe(&actor, conversation, cursor).await?;
    if request.method() == Method::HEAD {
        return Ok(sse::head().finish());
    }
    let lifetime = lifetimes.of_access(caller.access.clone())?;
    // With its id, whoever is cut before the first event knows where they were.
    let preamble = format!("{PREAMBLE}id: {}\n\n", feed.cursor);
    let chunks = feed.events.map(|event| frame(&event)).boxed();
    Ok(sse::sse(preamble.into(), chunks, lifetime))
}
