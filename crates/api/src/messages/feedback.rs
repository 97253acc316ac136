//! `…/messages/{id}/feedback`: what its reader thinks of a reply.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use repartee_application::messages::MessageService;
use repartee_domain::messages::Rating;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{body::MessageBody, message_reference};
use crate::{ApiError, auth::Caller, body::JsonBody, conversations::reference, problem::Problem};

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"rating": "up", "comment": "Just what I needed"}))]
pub(crate) struct NewFeedbackBody {
    /// `up` or `down`; null takes back what was said.
    rating: Option<String>,
    #[schema(max_length = 2_000)]
    comment: Option<String>,
}

/// Rates a reply, in place of what was said of it before.
#[utoipa::path(
    put, path = "/api/v1/conversations/{conversation_id}/messages/{message_id}/feedback",
    tag = "conversations", request_body = NewFeedbackBody,
    params(
        ("conversation_id" = String, Path, description = "Its id or code"),
        ("message_id" = String, Path, description = "The reply's id or code"),
    ),
    responses(
        (status = 200, description = "The reply, with the feedback", body = MessageBody<'static>),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found` or `message_not_found`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_fields`: `message_id` where it names no reply", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn rate(
    Caller(actor): Caller,
    path: Path<(String, String)>,
    body: JsonBody,
    messages: Data<MessageService>,
) -> Result<HttpResponse, ApiError> {
    let (conversation, message) = path.into_inner();
    let conversation = reference(&conversation)?;
    let message = message_reference(&message);
    let rating = match body.parse::<NewFeedbackBody>().and_then(NewFeedbackBody::rating) {
        Ok(rating) => rating,
        Err(error) => {
            // A missing resource is told before a bad body.
            messages.find(&actor, conversation, message?).await?;
            return Err(error);
        }
    };
    let rated = messages.rate(&actor, conversation, message?, rating).await?;
    Ok(HttpResponse::Ok().json(MessageBody::from(&rated)))
}

impl NewFeedbackBody {
    fn rating(self) -> Result<Option<(Rating, Option<String>)>, ApiError> {
        let Some(name) = self.rating else { return Ok(None) };
        let rating = name
            .parse()
            .map_err(|_| ApiError::invalid("rating", "invalid", "must be up, down or null"))?;
        Ok(Some((rating, self.comment)))
    }
}
