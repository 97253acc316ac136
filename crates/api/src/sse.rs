//! Server-sent events, as the WHATWG HTML standard has them: never compressed, never buffered.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    dev::Payload,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web::Data,
};
use bytes::Bytes;
use futures::{Future, StreamExt, future::BoxFuture, stream::BoxStream};
use repartee_application::{
    Actor, AppError,
    accounts::{Access, StreamAccessService},
    ports::PortError,
};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::{
    ApiError,
    streams::{Seat, Streams},
};

/// A sign of life after so long a silence.
const PING: Duration = Duration::from_secs(15);
/// A comment without a blank line: the official Python SDK fails on an empty event.
pub(crate) const PING_LINE: &[u8] = b": ping\n";
/// The comment at once, so that proxies pass the head on; then how long to wait before
/// reconnecting.
pub(crate) const PREAMBLE: &str = ": ping\nretry: 3000\n";

/// Tells streams when they are over before their events are.
pub(crate) struct Lifetimes {
    access: Data<StreamAccessService>,
    streams: Data<Streams>,
}

/// Until when a stream may go on.
pub(crate) struct Lifetime {
    /// Its reader is signed out, or not known any more: nothing more is told.
    ended: BoxFuture<'static, ()>,
    /// The server goes away: what there is is told.
    going_away: BoxFuture<'static, ()>,
    /// Held for as long.
    _seat: Option<Seat>,
}

impl FromRequest for Lifetimes {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let access = request.app_data::<Data<StreamAccessService>>();
        let streams = request.app_data::<Data<Streams>>();
        ready(match (access, streams) {
            (Some(access), Some(streams)) => {
                Ok(Self { access: access.clone(), streams: streams.clone() })
            }
            _ => Err(AppError::from(PortError::Unavailable("not wired".into())).into()),
        })
    }
}

impl Lifetimes {
    /// Of a stream that is soon over by itself: it may outlive the token that opened it.
    ///
    /// # Errors
    /// Where as many are open as may be.
    pub(crate) fn of(&self, actor: Actor) -> Result<Lifetime, ApiError> {
        let seat = self.streams.seat_of_stream(&actor)?;
        Ok(self.until(self.access.ended(actor), seat))
    }

    /// Of a stream that goes on for ever: it is resumed with the next token.
    ///
    /// # Errors
    /// Where as many are open as may be.
    pub(crate) fn of_access(&self, access: Access) -> Result<Lifetime, ApiError> {
        let seat = self.streams.seat_of_stream(&access.actor)?;
        Ok(self.until(self.access.over(access), seat))
    }

    fn until(&self, ended: BoxFuture<'static, ()>, seat: Seat) -> Lifetime {
        let going_away = self.streams.going_away();
        let going_away = Box::pin(async move { going_away.cancelled().await });
        Lifetime { ended, going_away, _seat: Some(seat) }
    }
}

/// Streams what is in the envelope already.
pub(crate) fn sse(
    preamble: Bytes,
    chunks: BoxStream<'static, Bytes>,
    lifetime: Lifetime,
) -> HttpResponse {
    let body = SseBody {
        chunks,
        lifetime,
        preamble: Some(preamble),
        last_sent: Instant::now(),
        ping: Box::pin(sleep_until(Instant::now() + PING)),
    };
    head().body(body)
}

/// The head of a stream, without one: what HEAD answers.
pub(crate) fn head() -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-cache, no-transform"))
        .insert_header(("x-accel-buffering", "no"));
    response
}

struct SseBody {
    chunks: BoxStream<'static, Bytes>,
    lifetime: Lifetime,
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
        if self.lifetime.ended.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        match self.chunks.poll_next_unpin(context) {
            Poll::Ready(Some(chunk)) => {
                self.last_sent = Instant::now();
                return Poll::Ready(Some(Ok(chunk)));
            }
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        if self.lifetime.going_away.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
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

#[cfg(test)]
impl Lifetime {
    /// Ended by the one, the server going away by the other.
    pub(crate) fn test(
        ended: impl Future<Output = ()> + Send + 'static,
        going_away: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self { ended: Box::pin(ended), going_away: Box::pin(going_away), _seat: None }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use actix_web::body::to_bytes;
    use futures::stream;

    use super::*;

    fn one_and_then_nothing() -> BoxStream<'static, Bytes> {
        stream::iter([Bytes::from_static(b"one\n\n")]).chain(stream::pending()).boxed()
    }

    async fn text(lifetime: Lifetime) -> Bytes {
        let response = sse(Bytes::from_static(b"first\n"), one_and_then_nothing(), lifetime);
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), "text/event-stream");
        to_bytes(response.into_body()).await.unwrap()
    }

    #[actix_web::test]
    async fn a_server_that_goes_away_tells_what_there_is() {
        assert_eq!(text(Lifetime::test(pending(), ready(()))).await, "first\none\n\n");
    }

    #[actix_web::test]
    async fn whoever_is_signed_out_is_told_nothing_more() {
        assert_eq!(text(Lifetime::test(ready(()), pending())).await, "first\n");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_broken_every_fifteen_seconds() {
        let ends = tokio::time::sleep(Duration::from_secs(40));
        let told = text(Lifetime::test(ends, pending())).await;
        assert_eq!(told, "first\none\n\n: ping\n: ping\n");
    }
}
