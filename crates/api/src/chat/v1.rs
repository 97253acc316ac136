//! Family C: a message and its reply, in a conversation that may begin with it.

use actix_web::{
    HttpRequest,
    web::{Data, Json},
};
use repartee_application::{
    conversations::ConversationService,
    ports::ConversationReference,
    replies::{NewMessage, ReplyService},
};
use repartee_domain::{PersonaId, conversations::ConversationChanges};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Ended, as_called_here};
use crate::{
    ApiError, auth::Caller, body::JsonBody, conversations::reference, idempotency::idempotency_key,
    messages::end_of, problem::Problem,
};

#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"message": "Which tea keeps me awake?"}))]
pub(crate) struct SendBody {
    #[schema(min_length = 1, max_length = 100_000)]
    message: String,
    /// Its id or code. Left out: a conversation begins, and the answer has its id.
    conversation_id: Option<String>,
    /// An active persona, where a conversation begins.
    persona_id: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SentBody {
    conversation_id: Uuid,
    /// The reply's.
    message_id: Uuid,
    #[schema(example = "Green tea.")]
    response: String,
    /// The same text.
    #[schema(example = "Green tea.")]
    reply: String,
    /// Of prompt and reply.
    #[schema(example = 85)]
    tokens_used: u32,
    /// What the reply is taken from, where it is.
    sources: Vec<SourceBody>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceBody {
    id: i64,
    title: String,
}

/// Sends a message and waits for the whole reply.
#[utoipa::path(
    post, path = "/api/v1/chat/send", tag = "Family C: conversations in one request",
    params(("Idempotency-Key" = Option<String>, Header, description = "A name for this request: repeated with the same body within 24 hours it answers as the first does, and nothing is sent twice")),
    request_body = SendBody,
    responses(
        (status = 200, body = SentBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`reply_in_progress`, `conversation_ended`, `conversation_archived` or `already_done`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_generations`, or `budget_exceeded`: the month's tokens are used up (`x-should-retry: false`)", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds"))),
        (status = 502, description = "`model_failed`: the question stays stored", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`model_unavailable`, `shutting_down` or `reply_interrupted`", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "`model_timeout`: the question stays stored", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn send(
    Caller(actor): Caller,
    request: HttpRequest,
    json: JsonBody,
    conversations: Data<ConversationService>,
    replies: Data<ReplyService>,
) -> Result<Json<SentBody>, ApiError> {
    let body: SendBody = json.parse()?;
    let key = idempotency_key(&request, None, &[json.bytes()])?;
    let is_keyed = key.is_some();
    let message = NewMessage { content: body.message, ..NewMessage::default() };
    let conversation: ConversationReference = if let Some(named) = &body.conversation_id {
        reference(named)?
    } else {
        let persona = Some(body.persona_id.map(PersonaId::new));
        let about = ConversationChanges { persona, ..ConversationChanges::default() };
        let begun = conversations.open(&actor, None, about, &message, key.as_ref()).await;
        begun.map_err(as_called_here)?.id.into()
    };
    let begun = replies.send(&actor, conversation, message, key).await.map_err(as_called_here)?;
    let conversation_id = begun.question.conversation.as_uuid();
    let ended = Ended::read(&*end_of(begun.events, is_keyed).await?)?;
    Ok(Json(SentBody {
        conversation_id,
        message_id: ended.message.id,
        response: ended.message.content.clone(),
        reply: ended.message.content,
        tokens_used: ended.usage.total_tokens,
        sources: Vec::new(),
    }))
}
