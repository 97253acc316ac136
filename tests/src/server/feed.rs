//! Reading a change feed: events without end, and the cursor after each.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use reqwest::{RequestBuilder, header::HeaderMap};
use tokio::time::timeout;

use super::{Event, fail};

/// Something always happens within this time, or never.
const LIMIT: Duration = Duration::from_mins(2);

/// A feed that is being read. Dropping it closes the connection.
pub struct Feed {
    pub status: u16,
    pub headers: HeaderMap,
    /// Where to go on after what was read: set by the first block already, which has no data.
    pub cursor: String,
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    unread: Vec<u8>,
    ready: VecDeque<Event>,
}

impl Feed {
    pub(super) async fn of(request: RequestBuilder) -> Result<Self> {
        let response = request.send().await?;
        let mut feed = Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            cursor: String::new(),
            body: response.bytes_stream().boxed(),
            unread: Vec::new(),
            ready: VecDeque::new(),
        };
        // Whatever happens after the first block is told; before it, a test couldn't know.
        while feed.status == 200 && feed.cursor.is_empty() && feed.ready.is_empty() {
            ensure!(feed.read().await?, "the feed ends before its first block");
        }
        Ok(feed)
    }

    /// The next event, which has to come.
    pub async fn next(&mut self) -> Event {
        let next = self.try_next().await.and_then(|next| next.context("the feed is over"));
        next.unwrap_or_else(|error| fail("the feed's next event", &error))
    }

    /// The next event; `None` at the end of the feed.
    pub async fn try_next(&mut self) -> Result<Option<Event>> {
        while self.ready.is_empty() {
            if !self.read().await? {
                return Ok(None);
            }
        }
        let next = self.ready.pop_front();
        if let Some(event) = &next {
            self.cursor.clone_from(&event.id);
        }
        Ok(next)
    }

    /// All events up to and including the first that is `wanted`.
    pub async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            events.push(self.next().await);
            if events.last().is_some_and(&wanted) {
                return events;
            }
        }
    }

    /// Reads on until the server ends it.
    pub async fn ended(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            match self.try_next().await {
                Ok(Some(event)) => events.push(event),
                Ok(None) => return events,
                Err(error) => fail("the feed's end", &error),
            }
        }
    }

    /// Takes in what comes next; `false` at the end.
    async fn read(&mut self) -> Result<bool> {
        let next = timeout(LIMIT, self.body.next()).await.context("nothing comes")?;
        let Some(bytes) = next.transpose()? else { return Ok(false) };
        self.unread.extend_from_slice(&bytes);
        while let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = self.unread.drain(..end + 2).collect();
            self.block(std::str::from_utf8(&block)?);
        }
        Ok(true)
    }

    fn block(&mut self, block: &str) {
        let field = |name: &str| {
            let lines = block.lines().filter_map(move |line| line.strip_prefix(name));
            lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).next_back()
        };
        let id = field("id:").unwrap_or_default().to_owned();
        match field("data:") {
            Some(data) => {
                let name = field("event:").unwrap_or("message").to_owned();
                self.ready.push_back(Event { id, name, data: data.to_owned() });
            }
            None if !id.is_empty() => self.cursor = id,
            None => {}
        }
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}
