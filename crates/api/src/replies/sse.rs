//! The events of a reply on SSE, and their ids.

use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures::StreamExt;
use repartee_application::{
    AppError,
    ports::{Envelope, EventKind, EventStream, LoggedEvent},
};
use repartee_domain::GenerationId;

use crate::{
    ApiError,
    sse::{Lifetime, PREAMBLE, sse},
};

/// Before the number in an `interrupted` event's id: the number reads the same.
const INTERRUPTED: &str = "0";

/// Names an event: its generation and its number, and whether it was an `interrupted` one. That
/// may be told to a reader under a higher number than it is stored with, so that the number alone
/// would not say that its reader has all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventId {
    pub(crate) generation: GenerationId,
    pub(crate) seq: u64,
    pub(crate) is_interrupted: bool,
}

/// What no event is called.
const NO_EVENT: &str = "?";

/// Where to go on, as it was written: the header, or else what the query says. Empty is none; what
/// is no text names no event.
pub(crate) fn last_event_text<'a>(
    request: &'a HttpRequest,
    in_query: Option<&'a str>,
) -> Option<&'a str> {
    let header = request.headers().get("last-event-id");
    let header = header.map(|value| value.to_str().unwrap_or(NO_EVENT));
    header.filter(|text| !text.is_empty()).or(in_query.filter(|text| !text.is_empty()))
}

/// Where to go on in a reply.
pub(crate) fn last_event_id(
    request: &HttpRequest,
    in_query: Option<&str>,
) -> Result<Option<EventId>, ApiError> {
    match last_event_text(request, in_query) {
        None => Ok(None),
        // What we never gave out names nothing that is there.
        Some(text) => EventId::parse(text).map(Some).ok_or(AppError::GENERATION_NOT_FOUND.into()),
    }
}

impl EventId {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (generation, rest) = text.split_once(':')?;
        let is_interrupted = rest.len() > INTERRUPTED.len() && rest.starts_with(INTERRUPTED);
        Some(Self { generation: generation.parse().ok()?, seq: rest.parse().ok()?, is_interrupted })
    }
}

/// Streams the events of a reply.
pub(crate) fn reply_events(events: EventStream, lifetime: Lifetime) -> HttpResponse {
    let chunks = events.map(|event| event.framed(Envelope::Sse, frame)).boxed();
    sse(format!("{PREAMBLE}\n").into(), chunks, lifetime)
}

/// `id`, `event`, `data` and a blank line. The data is one line, for JSON escapes line breaks.
fn frame(event: &LoggedEvent) -> Bytes {
    let mark = if event.kind == EventKind::Interrupted { INTERRUPTED } else { "" };
    let (id, seq, kind) = (event.generation, event.seq, event.kind.as_str());
    let head = format!("id: {id}:{mark}{seq}\nevent: {kind}\ndata: ");
    [head.as_bytes(), &event.data, b"\n\n"].concat().into()
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Arc};

    use actix_web::body::to_bytes;
    use futures::stream;
    use uuid::Uuid;

    use super::*;

    const GENERATION: GenerationId = GenerationId::from_uuid(Uuid::from_u128(1));

    #[test]
    fn an_event_id_reads_back_and_nonsense_does_not() {
        let id = EventId { generation: GENERATION, seq: 7, is_interrupted: false };
        assert_eq!(EventId::parse(&format!("{GENERATION}:7")), Some(id));
        let end = EventId { is_interrupted: true, ..id };
        assert_eq!(EventId::parse(&format!("{GENERATION}:07")), Some(end));
        for text in ["", ":", "7", "x:7", &format!("{GENERATION}:"), &format!("{GENERATION}:-1")] {
            assert_eq!(EventId::parse(text), None, "{text}");
        }
    }

    #[actix_web::test]
    async fn a_stream_begins_with_a_comment_and_ends_with_its_last_event() {
        let event = |seq, kind, data: &'static str| {
            Arc::new(LoggedEvent::new(GENERATION, seq, kind, Bytes::from_static(data.as_bytes())))
        };
        let events = stream::iter([
            event(1, EventKind::Start, "{\"v\":1}"),
            event(2, EventKind::Done, "{}"),
        ]);

        let response = reply_events(events.boxed(), Lifetime::test(pending(), pending()));

        let text = to_bytes(response.into_body()).await.unwrap();
        let id = GENERATION;
        assert_eq!(
            text,
            format!(
                ": ping\nretry: 3000\n\nid: {id}:1\nevent: start\ndata: {{\"v\":1}}\n\n\
                 id: {id}:2\nevent: done\ndata: {{}}\n\n"
            )
        );
    }
}
