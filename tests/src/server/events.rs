//! Reading server-sent events with a parser that is not the server's.

use std::time::Duration;

use anyhow::{Context, anyhow};
use eventsource_stream::Eventsource;
use futures::{StreamExt, stream::BoxStream};
use reqwest::{RequestBuilder, header::HeaderMap};
use serde_json::Value;
use tokio::time::timeout;

use super::fail;

/// A server that says nothing for this long is a failure.
const LIMIT: Duration = Duration::from_mins(2);

/// An event as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    pub name: String,
    pub data: String,
}

/// A stream that is being read. Dropping it closes the connection.
pub struct Events {
    pub status: u16,
    pub headers: HeaderMap,
    incoming: BoxStream<'static, anyhow::Result<Event>>,
}

impl Event {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_default()
    }

    /// Its number.
    pub fn seq(&self) -> u64 {
        self.id.rsplit_once(':').and_then(|(_, seq)| seq.parse().ok()).unwrap_or_default()
    }

    /// Whether nothing may come after it.
    pub fn is_terminal(&self) -> bool {
        ["done", "cancelled", "failed", "interrupted"].contains(&&*self.name)
    }

    /// The text that it adds to the reply.
    pub fn text(&self) -> String {
        if self.name != "delta" {
            return String::new();
        }
        self.json()["text"].as_str().unwrap_or_default().to_owned()
    }
}

impl Events {
    pub(super) async fn of(request: RequestBuilder) -> Self {
        Self::try_of(request).await.unwrap_or_else(|error| fail("no stream", &error))
    }

    /// As the methods of [`super::Client`], where the server may be gone.
    pub async fn try_of(request: RequestBuilder) -> anyhow::Result<Self> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let events = response.bytes_stream().eventsource().map(|event| {
            let event = event.map_err(|error| anyhow!("the stream breaks: {error}"))?;
            Ok(Event { id: event.id, name: event.event, data: event.data })
        });
        Ok(Self { status, headers, incoming: events.boxed() })
    }

    /// The next event; `None` at the end of the stream.
    pub async fn try_next(&mut self) -> anyhow::Result<Option<Event>> {
        let next = timeout(LIMIT, self.incoming.next()).await.context("no event comes")?;
        next.transpose()
    }

    /// The next event, which has to come.
    pub async fn next(&mut self) -> Event {
        let next = self.try_next().await.and_then(|next| next.context("the stream is over"));
        next.unwrap_or_else(|error| fail("the next event", &error))
    }

    /// So many of the next events, or fewer at the end.
    pub async fn take(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < count {
            match self.try_next().await.unwrap_or_else(|error| fail("the events", &error)) {
                Some(event) => events.push(event),
                None => break,
            }
        }
        events
    }

    /// All that is still to come.
    pub async fn rest(mut self) -> Vec<Event> {
        self.take(usize::MAX).await
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("status", &self.status).finish_non_exhaustive()
    }
}
