//! `/api/v1/conversations/{id}/messages`: what was said, and asking for more.

mod body;
pub(crate) mod branches;
pub(crate) mod feedback;
mod turn;

use actix_web::{
    HttpRequest, HttpResponse,
    http::Method,
    web::{Data, Path, Query},
};
use repartee_application::{
    Actor, AppError, IdempotencyKey, Order,
    accounts::StreamAccessService,
    conversations::ConversationService,
    messages::{MessageService, Said},
    ports::{Branch, ConversationReference, MessageReference},
    replies::{NewMessage, ReplyOptions, ReplyService},
};
use repartee_domain::messages::MessageRole;
use secrecy::ExposeSecret;
use serde::Deserialize;
use utoipa::IntoParams;

use self::turn::answered;
pub(crate) use self::{
    body::{MessageBody, NewMessageBody, StoredBody, TurnBody, UsageBody},
    turn::end_of,
};
use crate::{
    ApiError,
    auth::{Caller, StreamCaller},
    body::JsonBody,
    conversations::reference,
    cursor::{ListBody, PageQuery, encode},
    idempotency::idempotency_key,
    problem::Problem,
    replies::{last_event_id, reply_events, resume},
    sse::{self, Lifetimes},
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// `asc` (oldest first) or `desc`.
    order: Option<String>,
    /// A message's id or code: the branch that goes through it, on to its newest end. `all`: every
    /// branch. Left out: the branch with the newest message.
    branch: Option<String>,
}

/// What no id or code could be names nothing.
pub(crate) fn message_reference(text: &str) -> Result<MessageReference, ApiError> {
    MessageReference::parse(text).ok_or_else(|| AppError::MESSAGE_NOT_FOUND.into())
}

/// The messages of a conversation, oldest first.
///
/// Where somebody answered anew, edited, or went on from an earlier message, they are a tree: each
/// names its `parent_id`, and this lists the branch with the newest message.
#[utoipa::path(
    get, path = "/api/v1/conversations/{conversation_id}/messages", tag = "conversations",
    params(("conversation_id" = String, Path, description = "Its id or code"), ListQuery, PageQuery),
    responses(
        (status = 200, body = ListBody<MessageBody<'static>>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found` or `message_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    Caller(actor): Caller,
    id: Path<String>,
    query: Query<ListQuery>,
    page: Query<PageQuery>,
    messages: Data<MessageService>,
) -> Result<HttpResponse, ApiError> {
    let order = match query.order.as_deref() {
        None | Some("asc") => Order::Ascending,
        Some("desc") => Order::Descending,
        Some(_) => return Err(ApiError::invalid("order", "invalid", "must be asc or desc")),
    };
    let branch = match query.branch.as_deref() {
        None | Some("") => Branch::Newest,
        Some("all") => Branch::All,
        Some(message) => Branch::Through(message_reference(message)?),
    };
    let page = messages.list(&actor, reference(&id)?, branch, order, page.parse()?).await?;
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
    params(
        ("conversation_id" = String, Path, description = "Its id or code"),
        ("Idempotency-Key" = Option<String>, Header, description = "A name for this request, like a UUID: repeated with the same body within 24 hours it answers as the first does, and nothing is sent twice", example = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f"),
    ),
    request_body = NewMessageBody,
    responses(
        (status = 200, description = "The whole turn, or its event stream", content(
            (TurnBody<'static> = "application/json"),
            (String = "text/event-stream", example = "retry: 3000\n\nid: 01939c2e-7b9a-7000-8000-000000000000:1\nevent: start\ndata: {\"v\":1}\n\nid: 01939c2e-7b9a-7000-8000-000000000000:2\nevent: delta\ndata: {\"text\":\"Green\"}\n\n"),
        )),
        (status = 201, description = "Stored, with `reply: false`", body = StoredBody<'static>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`reply_in_progress`, `conversation_ended`, `conversation_archived`, or `stale_write`: too much else was said there at this moment", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`, `model_unknown` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_generations`: as many of your replies as may be are being written; `too_many_streams`; or `budget_exceeded`: the month's tokens are used up (`x-should-retry: false`)", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds"))),
        (status = 502, description = "`model_failed`: the question stays stored", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`model_unavailable`, `shutting_down`, or `reply_interrupted`: the server stopped while it wrote; the question and what was written stay stored, and the same `Idempotency-Key` is answered the same for good (`x-should-retry: false`)", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "`model_timeout`: the question stays stored", body = Problem, content_type = "application/problem+json"),
    ),
)]
#[expect(clippy::too_many_arguments, reason = "one for each thing that it uses")]
pub(crate) async fn send(
    Caller(actor): Caller,
    request: HttpRequest,
    id: Path<String>,
    body: JsonBody,
    conversations: Data<ConversationService>,
    messages: Data<MessageService>,
    replies: Data<ReplyService>,
    lifetimes: Lifetimes,
) -> Result<HttpResponse, ApiError> {
    let id = reference(&id)?;
    let Parsed { role, parent, body, key } = match parse(&request, &body) {
        Ok(parsed) => parsed,
        Err(error) => {
            // A missing resource is told before a bad body.
            conversations.find(&actor, id).await?;
            return Err(error);
        }
    };
    if role != MessageRole::User || body.reply == Some(false) {
        let said = Said { role, content: body.content };
        let message = messages.store(&actor, id, said, parent, key).await?;
        let stored = StoredBody { message: (&message).into(), reply: None, usage: None };
        return Ok(HttpResponse::Created().json(stored));
    }
    let is_keyed = key.is_some();
    let begin = replies.send(&actor, id, body.message(parent), key);
    answered(&request, &actor, &lifetimes, is_keyed, begin).await
}

/// Where a browser's `EventSource` sends to, and reads on.
pub(crate) const STREAM_CHAT: &str = "/api/v1/stream/chat/{conversation_id}";

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
    /// A ticket, where no header can be set. It opens one reply and resumes it from its first
    /// event on. Whoever is cut off before that event needs another ticket, under the same `key`.
    #[serde(rename = "ticket")]
    #[param(rename = "ticket")]
    _ticket: Option<String>,
    /// An idempotency key, where no header can be set: with it, a request that is cut off before
    /// the first event and sent again streams the same reply. With `token` the address stays good
    /// for that.
    key: Option<String>,
}

/// Sends a message and streams the reply, for a browser's `EventSource`.
///
/// `EventSource` reconnects by itself: a request with `Last-Event-ID` resumes that reply and
/// never sends the message a second time; after the last event the answer is 204, which ends the
/// reconnecting.
#[utoipa::path(
    get, path = STREAM_CHAT, tag = "conversations",
    params(
        ("conversation_id" = String, Path, description = "Its id or code"),
        StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Resumes the reply after this event"),
        ("Idempotency-Key" = Option<String>, Header, description = "A name for this request: repeated, it streams the same reply and nothing is sent twice"),
    ),
    responses(
        (status = 200, description = "The reply's events", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The reply is over and all of it was read"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found` or `generation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`reply_in_progress`, `conversation_ended`, `conversation_archived`, or `stale_write`: too much else was said there at this moment", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`, `model_unknown` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_generations`: as many of your replies as may be are being written; `too_many_streams`; or `budget_exceeded`: the month's tokens are used up (`x-should-retry: false`)", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds"))),
        (status = 503, description = "`model_unavailable` or `shutting_down`", body = Problem, content_type = "application/problem+json"),
    ),
)]
#[expect(clippy::too_many_arguments, reason = "one for each thing that it uses")]
pub(crate) async fn stream_chat(
    caller: StreamCaller,
    request: HttpRequest,
    id: Path<String>,
    query: Query<StreamQuery>,
    conversations: Data<ConversationService>,
    replies: Data<ReplyService>,
    access: Data<StreamAccessService>,
    lifetimes: Lifetimes,
) -> Result<HttpResponse, ApiError> {
    let actor = caller.access.actor;
    let id = reference(&id)?;
    if let Some(last) = last_event_id(&request, query.last_event_id.as_deref())? {
        require_same_conversation(&actor, id, &last, &conversations, &replies).await?;
        return resume(&actor, &request, last, &replies, &lifetimes).await;
    }
    if request.method() == Method::HEAD {
        // A look at the head of an answer sends no message.
        conversations.find(&actor, id).await?;
        return Ok(sse::head().finish());
    }
    let query = query.into_inner();
    let Some(content) = query.message else {
        conversations.find(&actor, id).await?;
        return Err(ApiError::invalid("message", "required", "must be given"));
    };
    let model = query.model.as_deref().unwrap_or_default();
    let asked = [content.as_bytes(), model.as_bytes()];
    let key = match idempotency_key(&request, query.key.as_deref(), &asked) {
        Ok(key) => key,
        Err(error) => {
            conversations.find(&actor, id).await?;
            return Err(error);
        }
    };
    let options = ReplyOptions { model: query.model, ..ReplyOptions::default() };
    let message = NewMessage { content, options, ..NewMessage::default() };
    // First: a question whose reply could not be told is not stored.
    let lifetime = lifetimes.of(actor.clone())?;
    let begun = replies.send(&actor, id, message, key).await?;
    if let Some(ticket) = caller.ticket
        && let Err(error) = access.bind_ticket(ticket.expose_secret(), begun.generation.id).await
    {
        // The reply has begun: that its reader needs another ticket to come back is the lesser evil.
        tracing::warn!(error = &error as &dyn std::error::Error, "a ticket cannot be bound");
    }
    Ok(reply_events(begun.events, lifetime))
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

struct Parsed {
    role: MessageRole,
    parent: Option<MessageReference>,
    body: NewMessageBody,
    key: Option<IdempotencyKey>,
}

fn parse(request: &HttpRequest, json: &JsonBody) -> Result<Parsed, ApiError> {
    let body: NewMessageBody = json.parse()?;
    let role = match body.role.as_deref() {
        None => MessageRole::User,
        Some(name) => name.parse().map_err(|_| {
            ApiError::invalid("role", "invalid", "must be user, assistant or system")
        })?,
    };
    let parent = body.parent_id.as_deref().map(|parent| {
        MessageReference::parse(parent).ok_or_else(|| {
            let detail = "must be the id of a message of this conversation";
            ApiError::invalid("parent_id", "unknown", detail)
        })
    });
    let key = idempotency_key(request, None, &[json.bytes()])?;
    Ok(Parsed { role, parent: parent.transpose()?, body, key })
}
