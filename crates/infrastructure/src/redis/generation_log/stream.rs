//! How a reply lies in Redis: a stream of its own, in which the event with the number n has the
//! id `n-0`, so that adding it twice changes nothing. A stream always begins with the event 1.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use redis::{Cmd, Pipeline, RedisResult, Value, aio::ConnectionLike};
use repartee_application::ports::{EventKind, LoggedEvent};
use repartee_domain::GenerationId;
use uuid::Uuid;

use crate::redis::PREFIX;

/// Since the terminal event, or since the time was last extended, which may be a minute before the
/// last event: in any case more than the ten minutes for which a reply can be replayed.
pub(super) const KEPT: Duration = Duration::from_mins(15);
/// A stream without any would be as good.
const WAKE_KEPT: Duration = Duration::from_mins(1);
const KIND: &str = "k";
const DATA: &str = "d";
/// Events read at a time.
const PAGE: usize = 1_000;

pub(super) fn key(generation: GenerationId) -> String {
    format!("{PREFIX}generation:{generation}")
}

/// The reply that a key is of; `None` for other keys.
pub(super) fn generation(key: &str) -> Option<GenerationId> {
    let id = key.strip_prefix(PREFIX)?.strip_prefix("generation:")?;
    Uuid::try_parse(id).ok().map(GenerationId::from_uuid)
}

/// Of the event with a number.
pub(super) fn id(seq: u64) -> String {
    format!("{seq}-0")
}

pub(super) fn id_of(entry: Value) -> Option<String> {
    let (id, _): (String, Value) = redis::from_redis_value(entry).ok()?;
    Some(id)
}

/// Adds an event. The first one makes the stream; where it was lost, the later ones do nothing.
pub(super) fn add(event: &LoggedEvent) -> Cmd {
    let mut add = redis::cmd("XADD");
    add.arg(key(event.generation));
    if event.seq > 1 {
        add.arg("NOMKSTREAM");
    }
    add.arg(id(event.seq));
    add.arg(KIND).arg(event.kind.as_str()).arg(DATA).arg(&*event.data);
    add
}

/// An entry as it was read. `None` for one that this version cannot read.
pub(super) fn event(generation: GenerationId, entry: Value) -> Option<LoggedEvent> {
    let (id, fields): (String, Vec<(String, Vec<u8>)>) = redis::from_redis_value(entry).ok()?;
    let seq = id.split_once('-')?.0.parse().ok()?;
    let (mut kind, mut data) = (None, None);
    for (name, value) in fields {
        match name.as_str() {
            KIND => kind = EventKind::from_name(std::str::from_utf8(&value).ok()?),
            DATA => data = Some(Bytes::from(value)),
            _ => {}
        }
    }
    Some(LoggedEvent::new(generation, seq, kind?, data?))
}

/// The events after a number, up to the first gap or the terminal one, which is left out.
pub(super) async fn left_behind(
    connection: &mut impl ConnectionLike,
    generation: GenerationId,
    after: u64,
) -> RedisResult<Vec<Arc<LoggedEvent>>> {
    let mut left = Vec::new();
    let mut next = after.saturating_add(1);
    loop {
        let mut range = redis::cmd("XRANGE");
        range.arg(key(generation)).arg(id(next)).arg("+").arg("COUNT").arg(PAGE);
        let page: Vec<Value> = range.query_async(connection).await?;
        let is_last = page.len() < PAGE;
        for entry in page {
            match event(generation, entry) {
                Some(event) if event.seq == next && !event.kind.is_terminal() => {
                    left.push(Arc::new(event));
                    next += 1;
                }
                _ => return Ok(left),
            }
        }
        if is_last {
            return Ok(left);
        }
    }
}

/// Whether the last event in a stream is a terminal one.
pub(super) async fn has_ended(
    connection: &mut impl ConnectionLike,
    generation: GenerationId,
) -> RedisResult<bool> {
    let mut range = redis::cmd("XREVRANGE");
    range.arg(key(generation)).arg("+").arg("-").arg("COUNT").arg(1);
    let last: Vec<Value> = range.query_async(connection).await?;
    let last = last.into_iter().next().and_then(|entry| event(generation, entry));
    Ok(last.is_some_and(|event| event.kind.is_terminal()))
}

/// The stream that interrupts a process's tailer while it waits.
#[derive(Debug, Clone)]
pub(super) struct Wake(pub(super) String);

impl Wake {
    pub(super) fn of(process: Uuid) -> Self {
        Self(format!("{PREFIX}wake:{process}"))
    }

    pub(super) fn add_to(&self, pipeline: &mut Pipeline) {
        let add = pipeline.cmd("XADD").arg(&self.0).arg("MAXLEN").arg(1);
        add.arg("*").arg("w").arg(1).ignore();
        self.keep(pipeline);
    }

    /// A write: a server that became a replica refuses it.
    pub(super) fn keep(&self, pipeline: &mut Pipeline) {
        pipeline.cmd("EXPIRE").arg(&self.0).arg(WAKE_KEPT.as_secs()).ignore();
    }
}
