//! `/api/chat`: a message and its reply, in a conversation whose id the client chooses.

mod body;
pub(crate) mod v1;

use actix_web::{
    HttpRequest,
    web::{Data, Json},
};
use repartee_application::{
    Actor, AppError, IdempotencyKey,
    conversations::ConversationService,
    guests::GuestService,
    replies::{Begun, NewMessage, ReplyService},
};
use repartee_domain::{
    ConversationId, PersonaId,
    accounts::Role,
    conversations::{Conversation, ConversationChanges},
};
use uuid::Uuid;

pub(crate) use self::body::{ChatBody, ChatReplyBody, Ended, session_id};
use crate::{
    ApiError, body::JsonBody, idempotency::idempotency_key, messages::end_of, problem::Problem,
    visitor::Visitor,
};

/// Sends a message and waits for the whole reply.
///
/// Without a token the caller is a guest. `session_id` is a UUID that the client chooses, or keeps
/// from the first answer: an unknown one begins a conversation, a known one goes on in it. A guest's
/// is known by nothing else, so it should be random (v4); it is kept for a while after the last
/// message (`retention.guests_days`). A user's is the id of the conversation. With `persona_id` that
/// conversation has this persona from then on; the answer says which one it has.
#[utoipa::path(
    post, path = "/api/chat", tag = "Family A: sessions and personas",
    params(("Idempotency-Key" = Option<String>, Header, description = "A name for this request, with a `session_id`: repeated with the same body within 24 hours it answers as the first does, and nothing is sent twice")),
    security((), ("access_token" = [])),
    request_body = ChatBody,
    responses(
        (status = 200, body = ChatReplyBody),
        (status = 401, description = "`unauthenticated`: the token is no good, or guests aren't let in", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`: it is somebody else's", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`reply_in_progress`, `conversation_ended` or `conversation_archived`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields` or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_generations`: as many of your replies as may be are being written", body = Problem, content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds"))),
        (status = 502, description = "`model_failed`: the question stays stored", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`model_unavailable`, `shutting_down` or `reply_interrupted`", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "`model_timeout`: the question stays stored", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn send(
    Visitor(actor): Visitor,
    request: HttpRequest,
    json: JsonBody,
    guests: Data<GuestService>,
    conversations: Data<ConversationService>,
    replies: Data<ReplyService>,
) -> Result<Json<ChatReplyBody>, ApiError> {
    let body: ChatBody = json.parse()?;
    let key = idempotency_key(&request, None, &[json.bytes()])?;
    if key.is_some() && body.session_id.is_none() {
        // Each of the repeated requests would begin a conversation of its own.
        let detail = "must be given where there is an Idempotency-Key";
        return Err(ApiError::invalid("session_id", "required", detail));
    }
    let is_keyed = key.is_some();
    let (session, about, message) = body.parts()?;
    let place = Place { guests: &guests, conversations: &conversations, replies: &replies };
    let Chatting { session, persona, begun } =
        place.chat(&actor, session, about, message, key).await?;
    let end = end_of(begun.events, is_keyed).await?;
    Ok(Json(ChatReplyBody::of(&end, session, persona)?))
}

/// What a chat takes place in.
pub(crate) struct Place<'a> {
    pub(crate) guests: &'a GuestService,
    pub(crate) conversations: &'a ConversationService,
    pub(crate) replies: &'a ReplyService,
}

/// A reply that is being written.
pub(crate) struct Chatting {
    /// What the client knows the conversation by.
    pub(crate) session: Uuid,
    /// The conversation's.
    pub(crate) persona: Option<i64>,
    pub(crate) begun: Begun,
}

impl Place<'_> {
    /// Sends a message to the conversation that a client means, which may begin with it.
    pub(crate) async fn chat(
        &self,
        actor: &Actor,
        session: Option<Uuid>,
        about: ConversationChanges,
        message: NewMessage,
        key: Option<IdempotencyKey>,
    ) -> Result<Chatting, AppError> {
        let opened = self.open(actor, session, about, &message).await.map_err(as_called_here)?;
        let (actor, session, conversation) = opened;
        let begun = self.replies.send(&actor, conversation.id.into(), message, key).await;
        Ok(Chatting {
            session,
            persona: conversation.subject.shape.persona.map(PersonaId::get),
            begun: begun.map_err(as_called_here)?,
        })
    }

    async fn open(
        &self,
        actor: &Actor,
        session: Option<Uuid>,
        about: ConversationChanges,
        message: &NewMessage,
    ) -> Result<(Actor, Uuid, Conversation), AppError> {
        if actor.role == Role::Guest {
            let visit = self.guests.open(actor, session, about, Some(message)).await?;
            return Ok((visit.actor, visit.session, visit.conversation));
        }
        let id = session.map(ConversationId::from_uuid);
        let conversation = self.conversations.open(actor, id, about, message, None).await?;
        Ok((actor.clone(), conversation.id.as_uuid(), conversation))
    }
}

/// The field of a message is called `message` here.
pub(crate) fn as_called_here(error: AppError) -> AppError {
    let AppError::Invalid(mut errors) = error else { return error };
    for error in errors.iter_mut().filter(|error| error.field == "content") {
        error.field = "message";
    }
    AppError::Invalid(errors)
}
