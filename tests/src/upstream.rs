//! A scripted OpenAI-compatible server: the name of the model says how its reply goes.
//!
//! `:suffix` after any name changes nothing but keeps the counts of one test apart from another's.
//!
//! | model | reply |
//! |---|---|
//! | `mock-N-G` | N words, G ms between them; with G = 0 all of it in one write |
//! | `mock-long-N-B` | N words, each filled up with `x` to B bytes, in one write |
//! | `mock-stamped-N-G` | N words, G ms between them, each with the microseconds since 1970 at which it left: `tok~0~@1767225600000000 ` |
//! | `mock-echo` | the last message of the user, word by word |
//! | `mock-tools` | calls the first of `tools` with `{"city": "Oslo"}`, in two pieces; after a `tool` message that, word by word |
//! | `mock-count` | how many messages came and whose: `3 messages: system user assistant` |
//! | `mock-empty` | no word |
//! | `mock-slowfirst`, `mock-slowfirst-MS` | the head at once, the first word after 2 s (or MS), then 16 words |
//! | `mock-400` … `mock-599` | that status |
//! | `mock-S-then-ok` | status S on calls 1, 3, 5 …, 16 words on calls 2, 4, 6 … |
//! | `mock-S-times-K`, `mock-S-times-K-after-R` | status S with `Retry-After: R` (0) on the first K calls, then always 16 words |
//! | `mock-hang` | not even a head for ten minutes, then 504 |
//! | `mock-hangmid`, `mock-hangmid-K` | 8 (K) words, then silence on an open connection |
//! | `mock-cut`, `mock-cut-K` | 8 (K) words, then the connection breaks |
//! | `mock-errormid`, `mock-errormid-K` | 8 (K) words, then an error event and an end without `[DONE]` |
//! | `mock-badjson`, `mock-badjson-K` | 8 (K) words, then an event that is not JSON, then the end |
//! | `mock-nodone` | 16 words and a finish reason, but no `[DONE]` |
//! | `mock-nousage` | 16 words, and no usage even where it was asked for |
//! | `mock-length` | 16 words and `finish_reason: length` |
//! | `mock-utf8` | 16 words with two- and four-byte characters, each cut in the middle by the writes |
//! | `mock-garbage` | 16 words among comments, unknown fields, chunks without choices and CRLF line ends |
//!
//! Asked for vectors (`POST /v1/embeddings`), every model that would reply gives some.
//!
//! Words are `tok~0~ `, `tok~1~ ` and so on: whatever joins or cuts them on the way, a reader can tell
//! which were lost, repeated or reordered. A reply that is not streamed takes as long as its stream would.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, task::JoinSet};

pub use self::record::{RecordedRequest, Stats};
use self::{record::Record, server::Shared};

mod chat;
mod embeddings;
mod plan;
mod playback;
mod record;
mod server;
pub mod stamp;

/// How many requests are kept for a test to look at.
const KEPT_REQUESTS: usize = 1_000;
/// How long [`Upstream::reaches`] waits.
const PATIENCE: Duration = Duration::from_secs(15);

/// A running scripted upstream; dropping it closes its port and every connection.
#[derive(Debug)]
pub struct Upstream {
    base_url: String,
    record: Arc<Record>,
    _accepting: JoinSet<()>,
}

impl Upstream {
    /// Starts on a free port of the loopback interface, open to everyone.
    ///
    /// # Panics
    /// Where no port of the loopback interface can be had: no test can go on from there.
    #[expect(clippy::expect_used, reason = "a test cannot go on without its upstream")]
    pub async fn start() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::bind(address, None, KEPT_REQUESTS)
            .await
            .expect("a free port on the loopback interface")
    }

    /// Starts on a free port and answers 401 to whoever doesn't send `Authorization: Bearer {key}`.
    ///
    /// # Panics
    /// As [`Upstream::start`].
    #[expect(clippy::expect_used, reason = "a test cannot go on without its upstream")]
    pub async fn start_with_key(key: &str) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::bind(address, Some(key), KEPT_REQUESTS)
            .await
            .expect("a free port on the loopback interface")
    }

    /// Starts at `address` and keeps the last `kept` requests. A test uses it to bring an upstream back on its old port.
    pub async fn bind(address: SocketAddr, key: Option<&str>, kept: usize) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let record = Arc::new(Record::keeping(kept));
        let shared = Arc::new(Shared::new(key, Arc::clone(&record)));
        let mut accepting = JoinSet::new();
        accepting.spawn(server::accept(listener, shared));
        Ok(Self { base_url, record, _accepting: accepting })
    }

    /// `http://127.0.0.1:PORT`, without `/v1`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    pub fn stats(&self) -> Stats {
        self.record.stats()
    }

    /// The requests for completions, oldest first; at most the last 1,000.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.record.requests()
    }

    /// Those of [`Upstream::requests`] that named `model`, its suffix included.
    pub fn requests_for(&self, model: &str) -> Vec<RecordedRequest> {
        self.requests().into_iter().filter(|request| request.model() == model).collect()
    }

    /// Forgets requests, counts and statistics; replies that are open stay counted as open.
    pub fn reset(&self) {
        self.record.reset();
    }

    /// Waits until the statistics are as wanted; `false` when they aren't within 15 seconds.
    pub async fn reaches(&self, wanted: impl Fn(&Stats) -> bool) -> bool {
        tokio::time::timeout(PATIENCE, self.record.reaches(wanted)).await.is_ok()
    }
}

#[cfg(test)]
mod tests;
