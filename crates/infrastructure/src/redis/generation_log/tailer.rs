//! The task that reads the streams of all mirrored replies, however many read them here.

use std::{sync::Arc, time::Duration};

use redis::{RedisError, RedisResult, Value, aio::MultiplexedConnection};
use tokio::time::{Instant, sleep};

use super::{
    mirrors::Mirrors,
    stream::{self, Wake},
};
use crate::redis::{Redis, outage::Outage};

/// How long Redis waits for something new before it answers that there is nothing.
const BLOCK: Duration = Duration::from_secs(1);
/// No answer in this time: Redis is away.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two tries to connect.
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// Of each stream at a time.
const MOST: usize = 256;
/// After each reading, so that what comes close together is one answer.
const GATHER: Duration = Duration::from_millis(2);
/// Where many streams are read, each of which costs Redis and this process a look each time.
const GATHER_FROM_MANY: Duration = Duration::from_millis(25);
const GATHER_FROM_EACH: Duration = Duration::from_micros(20);
/// A stream with nothing new for so long may be gone, and the server a replica of another one.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Nothing for so long: the database may know the end that was never told here.
const SILENCE: Duration = Duration::from_secs(5);
/// Before everything that a stream can hold.
const BEGINNING: &str = "0-0";

/// The answer to `XREAD`: each stream that has something new, with its entries.
type Streams = Option<Vec<(String, Vec<Value>)>>;

pub(super) struct Tailer {
    redis: Redis,
    mirrors: Arc<Mirrors>,
    wake: Wake,
    /// The last id that was read of the stream that wakes.
    woken: String,
    outage: Outage,
}

impl Tailer {
    pub(super) fn new(redis: Redis, mirrors: Arc<Mirrors>, wake: Wake) -> Self {
        let outage = Outage::new(&redis, "replies of other replicas are read from the database");
        Self { redis, mirrors, wake, woken: BEGINNING.to_owned(), outage }
    }

    pub(super) async fn connect(redis: &Redis) -> RedisResult<MultiplexedConnection> {
        redis.own(ANSWER_TIMEOUT).await
    }

    /// Reads for ever, again and again from where it was.
    pub(super) async fn run(mut self, first: MultiplexedConnection) {
        let mut connected = Ok(first);
        loop {
            let error = match connected {
                Ok(mut connection) => {
                    self.mirrors.open();
                    let mut has_read = false;
                    let error = self.follow(&mut connection, &mut has_read).await;
                    if has_read {
                        // A connection may break; the next one finds everything where it was.
                        connected = self.connect_again().await;
                        continue;
                    }
                    error
                }
                Err(error) => error,
            };
            self.mirrors.close();
            self.outage.began(&error);
            sleep(TRY_AGAIN).await;
            connected = self.connect_again().await;
        }
    }

    /// Besides, it moves the connection that all share: whatever ended ours, the server may have
    /// become a replica of another, and that ends no connection by which nobody waits. Ours comes
    /// first: should it still be to the old server, it is left in a moment, and the other with it.
    async fn connect_again(&self) -> RedisResult<MultiplexedConnection> {
        let connection = Self::connect(&self.redis).await?;
        self.redis.renew().await?;
        Ok(connection)
    }

    /// Until something fails.
    async fn follow(
        &mut self,
        connection: &mut MultiplexedConnection,
        has_read: &mut bool,
    ) -> RedisError {
        let mut looked = Instant::now();
        loop {
            if let Err(error) = self.read(connection).await {
                return error;
            }
            *has_read = true;
            self.outage.ended();
            if looked.elapsed() >= LOOK_AGAIN {
                if let Err(error) = self.look(connection).await {
                    return error;
                }
                looked = Instant::now();
            }
        }
    }

    async fn read(&mut self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        let places = self.mirrors.places();
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(MOST).arg("BLOCK").arg(BLOCK.as_millis());
        read.arg("STREAMS").arg(&self.wake.0);
        for (generation, _) in &places {
            read.arg(stream::key(*generation));
        }
        read.arg(&self.woken);
        for (_, last) in &places {
            read.arg(stream::id(*last));
        }
        let streams: Streams = read.query_async(connection).await?;
        let Some(streams) = streams else { return Ok(()) };
        for (key, entries) in streams {
            if let Some(generation) = stream::generation(&key) {
                let events = entries.into_iter().map(|entry| stream::event(generation, entry));
                self.mirrors.take(generation, events);
            } else if let Some(id) = entries.into_iter().next_back().and_then(stream::id_of) {
                self.woken = id;
            }
        }
        sleep(gather_from(places.len())).await;
        Ok(())
    }

    /// Ends the reading of replies whose stream Redis lost, and of those that say nothing at all.
    ///
    /// # Errors
    /// Also where the server became a replica, which can be read for ever and hears nothing new.
    async fn look(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        for silent in self.mirrors.quiet_for(SILENCE) {
            self.mirrors.end(silent);
        }
        let quiet = self.mirrors.quiet_for(LOOK_AGAIN);
        let mut pipeline = redis::pipe();
        self.wake.keep(&mut pipeline);
        for generation in &quiet {
            pipeline.exists(stream::key(*generation));
        }
        let are_there: Vec<bool> = pipeline.query_async(connection).await?;
        for (generation, is_there) in quiet.into_iter().zip(are_there) {
            if !is_there {
                self.mirrors.end(generation);
            }
        }
        Ok(())
    }
}

fn gather_from(streams: usize) -> Duration {
    let streams = u32::try_from(streams).unwrap_or(u32::MAX);
    GATHER_FROM_EACH.saturating_mul(streams).clamp(GATHER, GATHER_FROM_MANY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_streams_the_longer_it_gathers_up_to_a_limit() {
        let gathered = [0, 1, 100, 500, 1_250, 5_000, usize::MAX].map(gather_from);
        assert_eq!(gathered.map(|time| time.as_millis()), [2, 2, 2, 10, 25, 25, 25]);
    }
}
