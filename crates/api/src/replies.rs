//! `/api/v1/generations`: replies being written.

mod encoder;
mod sse;

use actix_web::{
    HttpRequest, HttpResponse,
    http::Method,
    web::{Data, Json, Path, Query},
};
use chrono::{DateTime, Utc};
use repartee_application::{
    Actor, AppError,
    replies::{GenerationStatus, ReplyService},
};
use repartee_domain::GenerationId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

pub use self::encoder::JsonEventEncoder;
pub(crate) use self::{
    encoder::StartData,
    sse::{EventId, last_event_id, last_event_text, reply_events},
};
use crate::{
    ApiError,
    auth::{Caller, StreamCaller},
    problem::Problem,
    sse::{Lifetimes, head},
    time::{rfc3339, rfc3339_option},
};

/// A reply being written, or written.
#[derive(Serialize, ToSchema)]
pub(crate) struct GenerationBody {
    id: Uuid,
    conversation_id: Uuid,
    /// The question.
    user_message_id: Uuid,
    /// The reply.
    message_id: Uuid,
    /// `queued`, `streaming`, `completed`, `cancelled`, `failed` or `interrupted`.
    state: &'static str,
    model: String,
    /// How often models were asked; 0 until the reply is over.
    attempts: u32,
    #[serde(serialize_with = "rfc3339")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "rfc3339_option")]
    ended_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResumeQuery {
    /// The id of the last event that was read, where no header can be set.
    last_event_id: Option<String>,
    /// An access token, where no header can be set.
    #[serde(rename = "token")]
    #[param(rename = "token")]
    _token: Option<String>,
    /// A ticket, where no header can be set. The one that opened a reply resumes it.
    #[serde(rename = "ticket")]
    #[param(rename = "ticket")]
    _ticket: Option<String>,
}

/// The state of a reply.
#[utoipa::path(
    get, path = "/api/v1/generations/{generation_id}", tag = "conversations",
    params(("generation_id" = Uuid, Path)),
    responses(
        (status = 200, body = GenerationBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`generation_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn find(
    Caller(actor): Caller,
    id: Path<String>,
    replies: Data<ReplyService>,
) -> Result<Json<GenerationBody>, ApiError> {
    Ok(Json(replies.find(&actor, generation_id(&id)?).await?.into()))
}

/// The events of a reply, from the first, or after `Last-Event-ID`.
///
/// While the reply is written the stream goes on; after its last event it ends. 204: all of it
/// was read.
#[utoipa::path(
    get, path = "/api/v1/generations/{generation_id}/events", tag = "conversations",
    params(
        ("generation_id" = Uuid, Path),
        ResumeQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Goes on after this event"),
    ),
    responses(
        (status = 200, description = "The events", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The reply is over and all of it was read"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`generation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_streams`: close one", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn events(
    caller: StreamCaller,
    request: HttpRequest,
    id: Path<String>,
    query: Query<ResumeQuery>,
    replies: Data<ReplyService>,
    lifetimes: Lifetimes,
) -> Result<HttpResponse, ApiError> {
    let generation = generation_id(&id)?;
    let last = last_event_id(&request, query.last_event_id.as_deref())?;
    let from = match last {
        Some(last) if last.generation != generation => {
            return Err(AppError::GENERATION_NOT_FOUND.into());
        }
        Some(last) => last,
        None => EventId { generation, seq: 0, is_interrupted: false },
    };
    resume(&caller.access.actor, &request, from, &replies, &lifetimes).await
}

/// Stops a reply and keeps what was written. Stopping one that is over changes nothing.
#[utoipa::path(
    post, path = "/api/v1/generations/{generation_id}/cancel", tag = "conversations",
    params(("generation_id" = Uuid, Path)),
    responses(
        (status = 200, body = GenerationBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`generation_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn cancel(
    Caller(actor): Caller,
    id: Path<String>,
    replies: Data<ReplyService>,
) -> Result<Json<GenerationBody>, ApiError> {
    Ok(Json(replies.cancel(&actor, generation_id(&id)?).await?.into()))
}

/// The rest of a reply after an event, as a stream; 204 where there is no rest.
pub(crate) async fn resume(
    actor: &Actor,
    request: &HttpRequest,
    after: EventId,
    replies: &ReplyService,
    lifetimes: &Lifetimes,
) -> Result<HttpResponse, ApiError> {
    Ok(match replies.subscribe(actor, after.generation, after.seq, after.is_interrupted).await? {
        Some(_) if request.method() == Method::HEAD => head().finish(),
        Some(events) => reply_events(events, lifetimes.of(actor.clone())?),
        None => HttpResponse::NoContent().finish(),
    })
}

/// What no id could be is not there.
pub(crate) fn generation_id(text: &str) -> Result<GenerationId, ApiError> {
    text.parse().map_err(|_| AppError::GENERATION_NOT_FOUND.into())
}

impl From<GenerationStatus> for GenerationBody {
    fn from(status: GenerationStatus) -> Self {
        let generation = status.generation;
        Self {
            id: generation.id.as_uuid(),
            conversation_id: generation.conversation.as_uuid(),
            user_message_id: generation.user_message.as_uuid(),
            message_id: generation.message.as_uuid(),
            state: status.state.as_str(),
            model: generation.model,
            attempts: status.attempts,
            created_at: generation.created_at,
            ended_at: status.ended_at,
        }
    }
}
