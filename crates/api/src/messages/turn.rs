//! The answer to a question: the events of its reply, or the whole turn.

use std::{future::Future, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, http::header::ACCEPT};
use futures::StreamExt;
use repartee_application::{
    Actor, AppError,
    ports::{EventKind, EventStream, LoggedEvent, PortError},
    replies::Begun,
};
use repartee_domain::replies::Failure;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::TurnBody;
use crate::{ApiError, problem::ProblemCode, replies::reply_events, sse::Lifetimes};

/// Begins a reply, and answers with it as the client wants it.
pub(super) async fn answered(
    request: &HttpRequest,
    actor: &Actor,
    lifetimes: &Lifetimes,
    is_keyed: bool,
    begin: impl Future<Output = Result<Begun, AppError>>,
) -> Result<HttpResponse, ApiError> {
    if wants_events(request) {
        // First: a question whose reply could not be told is not stored.
        let lifetime = lifetimes.of(actor.clone())?;
        return Ok(reply_events(begin.await?.events, lifetime));
    }
    whole_turn(begin.await?, is_keyed).await
}

fn wants_events(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

/// Waits for the end of the reply and answers with the whole turn.
async fn whole_turn(begun: Begun, is_keyed: bool) -> Result<HttpResponse, ApiError> {
    let end = end_of(begun.events, is_keyed).await?;
    let data: EndData<'_> = read(&end)?;
    let (reply, usage) = (data.message, data.usage);
    let turn = TurnBody { message: (&begun.question).into(), reply, usage };
    Ok(HttpResponse::Ok().json(turn))
}

/// Waits for the end of a reply, where that is an answer.
pub(crate) async fn end_of(
    mut events: EventStream,
    is_keyed: bool,
) -> Result<Arc<LoggedEvent>, ApiError> {
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event);
    }
    let Some(end) = last.filter(|event| event.kind.is_terminal()) else {
        return Err(ApiError::ReplyInterrupted { is_kept: false });
    };
    match end.kind {
        EventKind::Failed => {
            let error = read::<EndData<'_>>(&end)?.error;
            let failure = error.and_then(|error| Failure::from_code(&error.code));
            Err(AppError::Reply(failure.unwrap_or(Failure::Internal)).into())
        }
        EventKind::Interrupted => Err(ApiError::ReplyInterrupted { is_kept: is_keyed }),
        _ => Ok(end),
    }
}

#[derive(Deserialize)]
struct EndData<'a> {
    #[serde(borrow)]
    message: &'a RawValue,
    #[serde(borrow)]
    usage: &'a RawValue,
    error: Option<ProblemCode>,
}

fn read<'a, T: Deserialize<'a>>(end: &'a LoggedEvent) -> Result<T, ApiError> {
    Ok(serde_json::from_slice(&end.data).map_err(|error| PortError::Corrupt(error.into()))?)
}
