//! `/api/v1/conversations/{id}/messages`: what was said, and asking for more.

mod body;

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header::ACCEPT},
    web::{Data, Path, Query},
};
use futures::StreamExt;
use repartee_application::{
    Actor, AppError, Order,
    conversations::ConversationService,
    messages::MessageService,
    ports::{ConversationReference, EventKind, LoggedEvent},
    replies::{Begun, NewMessage, ReplyService},
};
use repartee_domain::{
    messages::{Message, MessageRole},
    replies::Failure,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::IntoParams;

pub(crate) use self::body::{MessageBody, NewMessageBody, StoredBody, TurnBody, UsageBody};
use crate::{
    ApiError,
    auth::{Caller, StreamCaller},
    body::JsonBody,
    conversations::reference,
    cursor::{ListBody, PageQuery, encode},
    problem::{Problem, ProblemCode},
    replies::{last_event_id, resume, sse},
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OrderQuery {
    /// `asc` (oldest first) or `desc`.
    order: Option<String>,
}

/// The messages of a conversation, oldest first.
#[utoipa::path(
    get, path = "/api/v1/conversations/{conversation_id}/messages", tag = "conversations",
    params(("conversation_id" = String, Path, description = "Its id or code"), OrderQuery, PageQuery),
    responses(
        (status = 200, body = ListBody<MessageBody<'static>>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Caller(actor): Caller,
    id: Path<String>,
    order: Query<OrderQuery>,
    page: Query<PageQuery>,
    messages: Data<MessageService>,
) -> Result<HttpResponse, ApiError> {
    let order = match order.order.as_deref() {
        None | Some("asc") => Order::Ascending,
        Some("desc") => Order::Descending,
        Some(_) => return Err(ApiError::invalid("order", "invalid", "must be asc or desc")),
    };
    let page = messages.list(&actor, reference(&id)?, order, page.parse()?).await?;
    let body = ListBody {
        next_cursor: page.next.as_ref().map(encode),
        data: page.items.iter().map(MessageBody::from).collect(),
    };
    Ok(HttpResponse::Ok().json(body))
}

/// Sends a message and has it answered.
///
/// With `Accept: text/event-stream` the reply is streamed: `start`, `delta` …, and exactly one of
/// `done`, `cancelled`, `failed` and `interrupted`. Otherwise the answer comes once the reply is
/// whole. The reply is written to its end in any case, whatever becomes of the connection.
#[utoipa::path(
    post, path = "/api/v1/conversations/{conversation_id}/messages", tag = "conversations",
    params(("conversation_id" = String, Path, description = "Its id or code")),
    request_body = NewMessageBody,
    responses(
        (status = 200, description = "The whole turn, or its event stream", content(
            (TurnBody<'static> = "application/json"),
            (String = "text/event-stream", example = "retry: 3000\n\nid: 01939c2e-7b9a-7000-8000-000000000000:1\nevent: start\ndata: {\"v\":1}\n\nid: 01939c2e-7b9a-7000-8000-000000000000:2\nevent: delta\ndata: {\"text\":\"Green\"}\n\n"),
        )),
        (status = 201, description = "Stored, with `reply: false`", body = StoredBody<'static>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`reply_in_progress`, `conversation_ended` or `conversation_archived`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields` or `model_unknown`", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "`model_failed`: the question stays stored", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`model_unavailable` or `shutting_down`", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "`model_timeout`: the question stays stored", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn send(
    Caller(actor): Caller,
    request: HttpRequest,
    id: Path<String>,
    body: JsonBody,
    conversations: Data<ConversationService>,
    messages: Data<MessageService>,
    replies: Data<ReplyService>,
) -> Result<HttpResponse, ApiError> {
    let id = reference(&id)?;
    let (role, body) = match parse(&body) {
        Ok(parsed) => parsed,
        Err(error) => {
            // A missing resource is told before a bad body.
            conversations.find(&actor, id).await?;
            return Err(error);
        }
    };
    if role != MessageRole::User || body.reply == Some(false) {
        let message = messages.store(&actor, id, role, body.content).await?;
        let stored = StoredBody { message: (&message).into(), reply: None, usage: None };
        return Ok(HttpResponse::Created().json(stored));
    }
    let begun = replies.send(&actor, id, body.into()).await?;
    if wants_events(&request) {
        return Ok(sse(begun.events));
    }
    whole_turn(begun).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    /// The message to send. Left out when resuming.
    message: Option<String>,
    model: Option<String>,
    /// Resumes a reply instead of sending: the id of the last event that was read.
    last_event_id: Option<String>,
    /// An access token, where no header can be set.
    #[serde(rename = "token")]
    #[param(rename = "token")]
    _token: Option<String>,
}

/// Sends a message and streams the reply, for a browser's `EventSource`.
///
/// `EventSource` reconnects by itself: a request with `Last-Event-ID` resumes that reply and
/// never sends the message a second time; after the last event the answer is 204, which ends the
/// reconnecting.
#[utoipa::path(
    get, path = "/api/v1/stream/chat/{conversation_id}", tag = "conversations",
    params(
        ("conversation_id" = String, Path, description = "Its id or code"),
        StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Resumes the reply after this event"),
    ),
    responses(
        (status = 200, description = "The reply's events", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The reply is over and all of it was read"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found` or `generation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`reply_in_progress`, `conversation_ended` or `conversation_archived`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields` or `model_unknown`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`model_unavailable` or `shutting_down`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn stream_chat(
    StreamCaller(actor): StreamCaller,
    request: HttpRequest,
    id: Path<String>,
    query: Query<StreamQuery>,
    conversations: Data<ConversationService>,
    replies: Data<ReplyService>,
) -> Result<HttpResponse, ApiError> {
    let id = reference(&id)?;
    if let Some(last) = last_event_id(&request, query.last_event_id.as_deref())? {
        require_same_conversation(&actor, id, &last, &conversations, &replies).await?;
        return resume(&actor, last, &replies).await;
    }
    if request.method() == Method::HEAD {
        // A look at the head of an answer sends no message.
        conversations.find(&actor, id).await?;
        return Ok(HttpResponse::Ok().content_type("text/event-stream").finish());
    }
    let query = query.into_inner();
    let Some(content) = query.message else {
        conversations.find(&actor, id).await?;
        return Err(ApiError::invalid("message", "required", "must be given"));
    };
    let message = NewMessage { content, model: query.model, ..NewMessage::default() };
    Ok(sse(replies.send(&actor, id, message).await?.events))
}

async fn require_same_conversation(
    actor: &Actor,
    id: ConversationReference,
    last: &crate::replies::EventId,
    conversations: &ConversationService,
    replies: &ReplyService,
) -> Result<(), ApiError> {
    let conversation = conversations.find(actor, id).await?;
    let status = replies.find(actor, last.generation).await?;
    if status.generation.conversation == conversation.id {
        Ok(())
    } else {
        Err(AppError::GENERATION_NOT_FOUND.into())
    }
}

fn parse(body: &JsonBody) -> Result<(MessageRole, NewMessageBody), ApiError> {
    let body: NewMessageBody = body.parse()?;
    let role = match body.role.as_deref() {
        None => MessageRole::User,
        Some(name) => name.parse().map_err(|_| {
            ApiError::invalid("role", "invalid", "must be user, assistant or system")
        })?,
    };
    Ok((role, body))
}

fn wants_events(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

/// Waits for the end of the reply and answers with the whole turn.
async fn whole_turn(mut begun: Begun) -> Result<HttpResponse, ApiError> {
    let mut last = None;
    while let Some(event) = begun.events.next().await {
        last = Some(event);
    }
    let Some(end) = last.filter(|event| event.kind.is_terminal()) else {
        return Err(ApiError::ReplyInterrupted);
    };
    answer_turn(&begun.question, &end)
}

#[derive(Deserialize)]
struct EndData<'a> {
    #[serde(borrow)]
    message: &'a RawValue,
    #[serde(borrow)]
    usage: &'a RawValue,
    error: Option<ProblemCode>,
}

fn answer_turn(question: &Message, end: &Arc<LoggedEvent>) -> Result<HttpResponse, ApiError> {
    let data: EndData<'_> = serde_json::from_slice(&end.data)
        .map_err(|error| repartee_application::ports::PortError::Corrupt(error.into()))?;
    match (end.kind, data.error) {
        (EventKind::Failed, error) => {
            let failure = error.and_then(|error| Failure::from_code(&error.code));
            Err(AppError::Reply(failure.unwrap_or(Failure::Internal)).into())
        }
        (EventKind::Interrupted, _) => Err(ApiError::ReplyInterrupted),
        _ => {
            let turn =
                TurnBody { message: question.into(), reply: data.message, usage: data.usage };
            Ok(HttpResponse::Ok().json(turn))
        }
    }
}
