//! `…/messages/{id}`: a question in other words, and another reply.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Path},
};
use repartee_application::{
    Actor, IdempotencyKey,
    messages::MessageService,
    ports::{ConversationReference, MessageReference},
    replies::{ReplyOptions, ReplyService},
};
use serde::de::DeserializeOwned;

use super::{
    body::{EditBody, RegenerateBody, StoredBody, TurnBody},
    message_reference,
    turn::answered,
};
use crate::{
    ApiError, auth::Caller, body::JsonBody, conversations::reference, idempotency::idempotency_key,
    problem::Problem, sse::Lifetimes,
};

/// Has a question answered once more, beside the replies that it has.
///
/// The reply is shown what was said before the question. It is answered as sending is, and what is
/// listed from now on is the branch with the new reply.
#[utoipa::path(
    post, path = "/api/v1/conversations/{conversation_id}/messages/{message_id}/regenerate",
    tag = "conversations", request_body = RegenerateBody,
    params(
        ("conversation_id" = String, Path, description = "Its id or code"),
        ("message_id" = String, Path, description = "The question's id or code, or that of a reply to it"),
        ("Idempotency-Key" = Option<String>, Header, description = "A name for this request, like a UUID: repeated with the same body within 24 hours it answers as the first does, and nothing is answered twice", example = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f"),
    ),
    responses(
        (status = 200, description = "The whole turn, or its event stream", content(
            (TurnBody<'static> = "application/json"),
            (String = "text/event-stream", example = "retry: 3000\n\nid: 01939c2e-7b9a-7000-8000-000000000000:1\nevent: start\ndata: {\"v\":1}\n\nid: 01939c2e-7b9a-7000-8000-000000000000:2\nevent: delta\ndata: {\"text\":\"Green\"}\n\n"),
        )),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found` or `message_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`reply_in_progress`, `conversation_ended`, `conversation_archived`, or `stale_write`: too much else was said there at this moment", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`: `message_id` where it names no question and no reply to one; `model_unknown` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_generations`, `too_many_streams` or `budget_exceeded`, as for sending", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds"))),
        (status = 502, description = "`model_failed`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`model_unavailable`, `shutting_down` or `reply_interrupted`, as for sending", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "`model_timeout`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn regenerate(
    Caller(actor): Caller,
    request: HttpRequest,
    path: Path<(String, String)>,
    body: JsonBody,
    messages: Data<MessageService>,
    replies: Data<ReplyService>,
    lifetimes: Lifetimes,
) -> Result<HttpResponse, ApiError> {
    let Asked { conversation, message, body, key } =
        Asked::<RegenerateBody>::parse(&request, &path, &body, &actor, &messages).await?;
    let is_keyed = key.is_some();
    let begin = replies.regenerate(&actor, conversation, message, body.into(), key);
    answered(&request, &actor, &lifetimes, is_keyed, begin).await
}

/// Asks a question in other words, beside the one that there is.
///
/// Nothing is overwritten: the edited question begins a branch where the old one does. It is
/// answered as sending is, and what is listed from now on is the branch with the edited question.
#[utoipa::path(
    patch, path = "/api/v1/conversations/{conversation_id}/messages/{message_id}",
    tag = "conversations", request_body = EditBody,
    params(
        ("conversation_id" = String, Path, description = "Its id or code"),
        ("message_id" = String, Path, description = "The question's id or code"),
        ("Idempotency-Key" = Option<String>, Header, description = "A name for this request, like a UUID: repeated with the same body within 24 hours it answers as the first does, and nothing is sent twice", example = "3f1f0c5e-9f5d-4d4e-8a3e-0a2b6c7d8e9f"),
    ),
    responses(
        (status = 200, description = "The whole turn, or its event stream", content(
            (TurnBody<'static> = "application/json"),
            (String = "text/event-stream", example = "retry: 3000\n\nid: 01939c2e-7b9a-7000-8000-000000000000:1\nevent: start\ndata: {\"v\":1}\n\nid: 01939c2e-7b9a-7000-8000-000000000000:2\nevent: delta\ndata: {\"text\":\"Green\"}\n\n"),
        )),
        (status = 201, description = "Stored, with `reply: false`", body = StoredBody<'static>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found` or `message_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`reply_in_progress`, `conversation_ended`, `conversation_archived`, or `stale_write`: too much else was said there at this moment", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`: `message_id` where it names no question; `model_unknown` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_generations`, `too_many_streams` or `budget_exceeded`, as for sending", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds"))),
        (status = 502, description = "`model_failed`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`model_unavailable`, `shutting_down` or `reply_interrupted`, as for sending", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "`model_timeout`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn edit(
    Caller(actor): Caller,
    request: HttpRequest,
    path: Path<(String, String)>,
    body: JsonBody,
    messages: Data<MessageService>,
    replies: Data<ReplyService>,
    lifetimes: Lifetimes,
) -> Result<HttpResponse, ApiError> {
    let Asked { conversation, message, body, key } =
        Asked::<EditBody>::parse(&request, &path, &body, &actor, &messages).await?;
    let EditBody { content, reply, model, temperature, max_tokens } = body;
    if reply == Some(false) {
        let message = messages.edit(&actor, conversation, message, content, key).await?;
        let stored = StoredBody { message: (&message).into(), reply: None, usage: None };
        return Ok(HttpResponse::Created().json(stored));
    }
    let is_keyed = key.is_some();
    let options = ReplyOptions { model, temperature, max_tokens };
    let begin = replies.edit(&actor, conversation, message, content, options, key);
    answered(&request, &actor, &lifetimes, is_keyed, begin).await
}

/// What is asked about a message.
struct Asked<B> {
    conversation: ConversationReference,
    message: MessageReference,
    body: B,
    key: Option<IdempotencyKey>,
}

impl<B: DeserializeOwned> Asked<B> {
    async fn parse(
        request: &HttpRequest,
        path: &(String, String),
        json: &JsonBody,
        actor: &Actor,
        messages: &MessageService,
    ) -> Result<Self, ApiError> {
        let conversation = reference(&path.0)?;
        let message = message_reference(&path.1)?;
        let key = || idempotency_key(request, None, &[json.bytes()]);
        match json.parse().and_then(|body| Ok((body, key()?))) {
            Ok((body, key)) => Ok(Self { conversation, message, body, key }),
            Err(error) => {
                // A missing resource is told before a bad body.
                messages.find(actor, conversation, message).await?;
                Err(error)
            }
        }
    }
}
