//! Server-sent events, as the WHATWG HTML standard has them.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
};
use bytes::Bytes;
use futures::{Future, StreamExt};
use repartee_application::{
    AppError,
    ports::{EventKind, EventStream, LoggedEvent},
};
use repartee_domain::GenerationId;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::ApiError;

/// A sign of life after so long a silence.
const PING: Duration = Duration::from_secs(15);
/// A comment without a blank line: the official Python SDK fails on an empty event.
const PING_LINE: &[u8] = b": ping\n";
/// The comment at once, so that proxies pass the head on; then how long to wait before
/// reconnecting.
const PREAMBLE: &[u8] = b": ping\nretry: 3000\n\n";

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

/// Where to go on: the header, or else what the query says. Empty is none.
pub(crate) fn last_event_id(
    request: &HttpRequest,
    in_query: Option<&str>,
) -> Result<Option<EventId>, ApiError> {
    let header = request.headers().get("last-event-id").and_then(|value| value.to_str().ok());
    match header.filter(|text| !text.is_empty()).or(in_query.filter(|text| !text.is_empty())) {
        None => Ok(None),
        // What we never gave out names nothing that is there.
        Some(text) => EventId::parse(text).map(Some).ok_or(AppError::GENERATION_NOT_FOUND.into()),
    }
}

impl EventId {
    fn parse(text: &str) -> Option<Self> {
        let (generation, rest) = text.split_once(':')?;
        let is_interrupted = rest.len() > INTERRUPTED.len() && rest.starts_with(INTERRUPTED);
        Some(Self { generation: generation.parse().ok()?, seq: rest.parse().ok()?, is_interrupted })
    }
}

/// Streams events. Never compressed, never buffered.
pub(crate) fn sse(events: EventStream) -> HttpResponse {
    let body = SseBody {
        events,
        preamble: Some(Bytes::from_static(PREAMBLE)),
        last_sent: Instant::now(),
        ping: Box::pin(sleep_until(Instant::now() + PING)),
    };
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-cache, no-transform"))
        .insert_header(("x-accel-buffering", "no"))
        .body(body)
}

struct SseBody {
    events: EventStream,
    preamble: Option<Bytes>,
    last_sent: Instant,
    ping: Pin<Box<Sleep>>,
}

impl MessageBody for SseBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        if let Some(preamble) = self.preamble.take() {
            return Poll::Ready(Some(Ok(preamble)));
        }
        match self.events.poll_next_unpin(context) {
            Poll::Ready(Some(event)) => {
                self.last_sent = Instant::now();
                return Poll::Ready(Some(Ok(event.framed(frame))));
            }
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        // The timer runs on while events flow, and is set anew only when it fires.
        while pin!(&mut self.ping).poll(context).is_ready() {
            let due = self.last_sent + PING;
            let is_due = Instant::now() >= due;
            if is_due {
                self.last_sent = Instant::now();
            }
            let next = self.last_sent + PING;
            self.ping.as_mut().reset(next);
            if is_due {
                return Poll::Ready(Some(Ok(Bytes::from_static(PING_LINE))));
            }
        }
        Poll::Pending
    }
}

/// `id`, `event`, `data` and a blank line. The data is one line, for JSON escapes line breaks.
fn frame(event: &LoggedEvent) -> Bytes {
    let mark = if event.kind == EventKind::Interrupted { INTERRUPTED } else { "" };
    let (id, seq, kind) = (event.generation, event.seq, event.kind.as_str());
    let head = format!("id: {id}:{mark}{seq}\nevent: {kind}\ndata: ");
    let mut frame = Vec::with_capacity(head.len() + event.data.len() + 2);
    frame.extend_from_slice(head.as_bytes());
    frame.extend_from_slice(&event.data);
    frame.extend_from_slice(b"\n\n");
    frame.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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

        let response = sse(events.boxed());

        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), "text/event-stream");
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
