//! WebSocket (RFC 6455): several conversations over one connection, both ways.

mod ask;
mod clocks;
mod closing;
mod dialect;
mod following;
mod frames;
mod guest;
mod incoming;
mod origin;
mod plain;
mod room;
mod services;
mod socket;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Path, Payload},
};
use repartee_application::{AppError, accounts::Access};

use self::{dialect::Dialect, room::Room, services::SocketServices, socket::Socket};
use crate::{
    ApiError,
    auth::StreamCaller,
    conversations::reference,
    problem::Problem,
    request_id,
    visitor::{Guest, SocketVisitor},
};

/// A socket for all of one's conversations.
///
/// Frames are `{"type", "data"}`. From the client: `start_conversation {title?, system_message?,
/// persona_id?, project_id?, model?}`,
/// `send_message {conversation_id, content, model?, temperature?, max_tokens?, idempotency_key?}`,
/// `end_conversation {conversation_id}`, `cancel {generation_id}`,
/// `resume {generation_id, after, ended?}`, `authenticate {token}` and `ping`. From the server:
/// `conversation_started`, `conversation_ended`, `message_started`, `queued`, `message_delta`,
/// `message_completed`, `message_cancelled`, `message_failed`, `message_interrupted`,
/// `authenticated`, `error` and `pong`. What is told of a reply has `conversation_id`,
/// `generation_id` and `seq`, and beside them what its event stream says.
///
/// `temperature` is from 0 to 2, `max_tokens` the longest reply. `after` is the last `seq` that was
/// read; with `ended: true` that was the reply's end, and `nothing_to_resume` is the answer once it
/// is over. When the token runs out, `error` says `token_expired`, and so it answers everything but
/// `authenticate` and `ping` for 30 seconds; replies are told on meanwhile.
///
/// Close codes: 1000 done, 1001 the server goes away, 1003 and 1007 neither text nor UTF-8, 1009
/// over 64 KiB, 1013 try later, 4400 malformed five times, 4401 no or expired token, 4408 idle.
/// 4403 (not yours) and 4429 (too many) are no close codes here: they are told before the upgrade,
/// as 403 and 429, or by an `error` frame, and the socket lives on.
#[utoipa::path(
    get, path = "/ws/chat/{user_id}", tag = "sockets",
    params(
        ("user_id" = String, Path, description = "One's own id or code"),
        ("token" = Option<String>, Query, description = "An access token, where no header can be set"),
        ("ticket" = Option<String>, Query, description = "A ticket, where no header can be set"),
    ),
    responses(
        (status = 101, description = "The socket is open"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_yours` or `origin_refused`", body = Problem, content_type = "application/problem+json"),
        (status = 426, description = "`upgrade_required`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_sockets` or `too_many_streams`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`shutting_down`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn user(
    caller: StreamCaller,
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
    services: SocketServices,
) -> Result<HttpResponse, ApiError> {
    origin::check(&request, &services.edge)?;
    if !services.is_me(&caller.access.actor, &id).await? {
        return Err(AppError::NotYours.into());
    }
    open(caller.access, &request, payload, services, Joined::default())
}

/// The same as `/ws/chat/{user_id}`.
#[utoipa::path(
    get, path = "/api/v1/chat/ws/{user_id}", tag = "sockets",
    params(
        ("user_id" = String, Path, description = "One's own id or code"),
        ("token" = Option<String>, Query, description = "An access token, where no header can be set"),
        ("ticket" = Option<String>, Query, description = "A ticket, where no header can be set"),
    ),
    responses(
        (status = 101, description = "The socket is open"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`not_yours` or `origin_refused`", body = Problem, content_type = "application/problem+json"),
        (status = 426, description = "`upgrade_required`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_sockets` or `too_many_streams`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`shutting_down`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn user_v1(
    caller: StreamCaller,
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
    services: SocketServices,
) -> Result<HttpResponse, ApiError> {
    user(caller, request, id, payload, services).await
}

/// A socket that is joined to one conversation.
///
/// As `/ws/chat/{user_id}`; frames may leave `conversation_id` out. It also tells what other
/// devices do in the conversation: their questions (`message_created`; a content over 16 KiB is left
/// out, and marked with `content_omitted`), the replies to them, and `conversation_ended`. 1013 says
/// that something was missed: load the conversation and join anew.
#[utoipa::path(
    get, path = "/ws/{conversation_id}", tag = "sockets",
    params(
        ("conversation_id" = String, Path, description = "Its id or code"),
        ("token" = Option<String>, Query, description = "An access token, where no header can be set"),
        ("ticket" = Option<String>, Query, description = "A ticket, where no header can be set"),
    ),
    responses(
        (status = 101, description = "The socket is open"),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`origin_refused`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 426, description = "`upgrade_required`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_sockets` or `too_many_streams`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`shutting_down`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn conversation(
    caller: StreamCaller,
    request: HttpRequest,
    id: Path<String>,
    payload: Payload,
    services: SocketServices,
) -> Result<HttpResponse, ApiError> {
    origin::check(&request, &services.edge)?;
    let room = Room::join(&services, &caller.access.actor, reference(&id)?).await?;
    let joined = Joined { room: Some(room), ..Joined::default() };
    open(caller.access, &request, payload, services, joined)
}

/// A socket for somebody without an account.
///
/// As `/ws/chat/{user_id}`, but for one conversation at a time, and nothing is kept on a profile:
/// `start_conversation {session_id?, system_message?, persona_id?}` begins one, or goes on in the one that was
/// begun with this `session_id`, a random UUID; `conversation_started` says it. Guests get the
/// default model.
#[utoipa::path(
    get, path = "/ws/chat", tag = "sockets",
    security(()),
    responses(
        (status = 101, description = "The socket is open"),
        (status = 401, description = "`unauthenticated`: guests aren't let in", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`origin_refused`", body = Problem, content_type = "application/problem+json"),
        (status = 426, description = "`upgrade_required`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`shutting_down`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn guest(
    Guest(access): Guest,
    request: HttpRequest,
    payload: Payload,
    services: SocketServices,
) -> Result<HttpResponse, ApiError> {
    origin::check(&request, &services.edge)?;
    open(access, &request, payload, services, Joined::default())
}

/// Messages and their replies, one after the other, for guests too.
///
/// From the client: `{"session_id"?, "message", "persona_id"?, "system_message"?}`, as in
/// `POST /api/chat`; without `session_id` the socket's last session goes on. From the server:
/// `{"type": "start", "session_id"}`, `{"type": "delta", "text"}` …, and
/// `{"type": "end", "reply", "session_id", "message_id", "persona_id", "tokens_used"}` or
/// `{"type": "error", "code", "detail"}`. Close codes are those of `/ws/chat/{user_id}`.
#[utoipa::path(
    get, path = "/api/chat/stream", tag = "Family A: sessions and personas",
    params(
        ("token" = Option<String>, Query, description = "An access token, where no header can be set"),
        ("ticket" = Option<String>, Query, description = "A ticket, where no header can be set"),
    ),
    security((), ("access_token" = [])),
    responses(
        (status = 101, description = "The socket is open"),
        (status = 401, description = "`unauthenticated`: the token is no good, or guests aren't let in", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`origin_refused`", body = Problem, content_type = "application/problem+json"),
        (status = 426, description = "`upgrade_required`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_sockets`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`shutting_down`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn chat_stream(
    SocketVisitor(access): SocketVisitor,
    request: HttpRequest,
    payload: Payload,
    services: SocketServices,
) -> Result<HttpResponse, ApiError> {
    origin::check(&request, &services.edge)?;
    let dialect = Dialect::Plain(dialect::Session::default());
    open(access, &request, payload, services, Joined { dialect, room: None })
}

/// Reads a text as whatever a client may say.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn read_any(text: &str) {
    // How it is refused, if it is, is not looked at here.
    let _ = incoming::Frame::parse(text);
    let _ = plain::parse(text).map(|body| body.parts());
}

/// What a socket is for.
struct Joined {
    room: Option<Room>,
    dialect: Dialect,
}

impl Default for Joined {
    fn default() -> Self {
        Self { room: None, dialect: Dialect::Native }
    }
}

fn open(
    access: Access,
    request: &HttpRequest,
    payload: Payload,
    services: SocketServices,
    Joined { room, dialect }: Joined,
) -> Result<HttpResponse, ApiError> {
    services.access.admit(&access.actor)?;
    if services.streams.going_away().is_cancelled() {
        return Err(AppError::ShuttingDown { retry_after: services::RETRY_AFTER }.into());
    }
    let seat = services.streams.seat_of_socket(&access.actor)?;
    let (response, session, messages) =
        actix_ws::handle(request, payload).map_err(|_| ApiError::UpgradeRequired)?;
    let streams = services.streams.clone();
    let socket = Socket::new(services, access, room, dialect, session, messages);
    // What it logs and answers has the name of the request that opened it.
    let name = request_id::current();
    streams.run(async move {
        request_id::within(name, socket.run()).await;
        drop(seat);
    });
    Ok(response)
}
