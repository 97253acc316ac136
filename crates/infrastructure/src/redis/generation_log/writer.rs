//! The task that writes to Redis what this process tells its own readers.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use redis::{RedisError, RedisResult, aio::MultiplexedConnection};
use repartee_application::ports::LoggedEvent;
use repartee_domain::GenerationId;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    queue::{Queue, Step},
    stream,
};
use crate::redis::{ANSWER_TIMEOUT, Redis, is_replica, outage::Outage};

/// Sent at a time: what Redis does not acknowledge in time is sent again, all of it.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 1 << 20;
/// Between two tries while Redis is away.
const TRY_AGAIN: Duration = Duration::from_millis(250);
/// How often a stream's time is extended.
const EXTEND: Duration = Duration::from_mins(1);

pub(super) struct Writer {
    redis: Redis,
    /// Its own, so that it waits for nobody's commands and nobody for its batches. Let go when
    /// anything goes wrong: a server that became a replica of another does not end it.
    connection: Option<MultiplexedConnection>,
    queue: Arc<Queue>,
    stop: CancellationToken,
    /// When the streams of replies being written last got more time.
    extended: HashMap<GenerationId, Instant>,
    outage: Outage,
}

impl Writer {
    pub(super) fn new(redis: Redis, queue: Arc<Queue>, stop: CancellationToken) -> Self {
        let outage =
            Outage::new(&redis, "other replicas read the replies of this one from the database");
        Self { redis, connection: None, queue, stop, extended: HashMap::new(), outage }
    }

    pub(super) async fn connect(redis: &Redis) -> RedisResult<MultiplexedConnection> {
        redis.own(ANSWER_TIMEOUT).await
    }

    /// Until it is stopped. What waits then is sent, unless Redis is away.
    pub(super) async fn run(mut self, first: MultiplexedConnection) {
        self.connection = Some(first);
        loop {
            let steps = tokio::select! {
                // In order: what was taken is never lost.
                biased;
                () = self.stop.cancelled() => break,
                steps = self.queue.next(BATCH, BATCH_BYTES) => steps,
            };
            if !self.write(&steps).await {
                return;
            }
        }
        loop {
            let steps = self.queue.take(BATCH, BATCH_BYTES);
            if steps.is_empty() || !self.write(&steps).await {
                return;
            }
        }
    }

    /// Tries until it is written. `false` when it was stopped without.
    async fn write(&mut self, steps: &[Step]) -> bool {
        loop {
            let Err(error) = self.try_write(steps).await else { return true };
            self.outage.began(&error);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                () = sleep(TRY_AGAIN) => {}
            }
        }
    }

    /// Writing the same again changes nothing.
    async fn try_write(&mut self, steps: &[Step]) -> RedisResult<()> {
        let now = Instant::now();
        let mut pipeline = redis::pipe();
        let mut added = Vec::with_capacity(steps.len());
        for step in steps {
            match step {
                Step::Add(event) => {
                    pipeline.add_command(stream::add(event));
                    if self.is_to_be_extended(event, now) {
                        let key = stream::key(event.generation);
                        pipeline.cmd("EXPIRE").arg(key).arg(stream::KEPT.as_secs()).ignore();
                    }
                    added.push(event);
                }
                Step::Forget(generation) => {
                    pipeline.cmd("UNLINK").arg(stream::key(*generation)).ignore();
                }
            }
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Self::connect(&self.redis).await?,
        };
        let answers: Vec<RedisResult<Option<String>>> =
            pipeline.ignore_errors().query_async(&mut connection).await?;
        self.note_extended(steps, now);
        let mut is_all_well = !added.is_empty();
        let mut given_up = HashSet::new();
        for (event, answer) in added.into_iter().zip(answers) {
            let Err(error) = answer else { continue };
            is_all_well &= is_there(&error);
            if self.is_lost(&mut connection, event, error).await? {
                given_up.insert(event.generation);
            }
        }
        for generation in given_up {
            let has_ended = steps.iter().any(|step| step.is_last_of(generation));
            self.queue.give_up(generation, has_ended);
        }
        if is_all_well {
            self.outage.ended();
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// Whether the stream of a refused event is of no use any more.
    ///
    /// # Errors
    /// Where Redis takes nothing at all for now.
    async fn is_lost(
        &self,
        connection: &mut MultiplexedConnection,
        event: &LoggedEvent,
        error: RedisError,
    ) -> RedisResult<bool> {
        if is_replica(&error) || error.code() == Some("LOADING") {
            return Err(error);
        }
        if !is_there(&error) {
            self.outage.began(&error);
            return Ok(true);
        }
        // The same number was added before: this event in an earlier try, or, where a process
        // wrote on after its lease had run out, another. Then readers would wait for an end that
        // is in the database only.
        let ends = event.kind.is_terminal();
        Ok(ends && !stream::has_ended(connection, event.generation).await?)
    }

    fn is_to_be_extended(&self, event: &LoggedEvent, now: Instant) -> bool {
        let extended = self.extended.get(&event.generation);
        event.kind.is_terminal() || extended.is_none_or(|at| now.duration_since(*at) >= EXTEND)
    }

    fn note_extended(&mut self, steps: &[Step], now: Instant) {
        for step in steps {
            match step {
                Step::Add(event) if !event.kind.is_terminal() => {
                    let at = self.extended.entry(event.generation).or_insert(now);
                    if now.duration_since(*at) >= EXTEND {
                        *at = now;
                    }
                }
                Step::Add(event) => {
                    self.extended.remove(&event.generation);
                }
                Step::Forget(generation) => {
                    self.extended.remove(generation);
                }
            }
        }
    }
}

/// Whether an event was refused because its number is there.
fn is_there(refused: &RedisError) -> bool {
    refused.detail().is_some_and(|detail| detail.contains("equal or smaller"))
}
