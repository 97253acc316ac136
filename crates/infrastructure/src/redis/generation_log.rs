//! The live events of replies, for every replica.
//!
//! What this process writes is read here from its memory, as without Redis; besides, it goes into
//! a stream that the others read. What they write is read through a mirror: their stream, kept in
//! the same kind of list as our own replies for as long as somebody here reads it.

mod mirrors;
mod queue;
mod stream;
mod tailer;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use redis::RedisResult;
use repartee_application::ports::{EventStream, GenerationLog, LoggedEvent, PortError, Spawner};
use repartee_domain::GenerationId;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::queue::QueueLimits;
use self::{
    mirrors::{Joined, Mirrors},
    queue::Queue,
    stream::{Wake, left_behind},
    tailer::Tailer,
    writer::Writer,
};
use super::{Redis, RedisError};
use crate::generation_log::{LocalGenerationLog, Recorded};

/// The log of this process, in memory, joined to those of the others by Redis Streams.
pub struct RedisGenerationLog {
    local: LocalGenerationLog,
    redis: Redis,
    queue: Arc<Queue>,
    mirrors: Arc<Mirrors>,
    wake: Wake,
}

impl RedisGenerationLog {
    /// Begins to write and to read, until `stop`: what waits then is still sent. `process` tells
    /// this process from all others.
    pub async fn start(
        redis: Redis,
        local: LocalGenerationLog,
        limits: QueueLimits,
        process: Uuid,
        spawner: &dyn Spawner,
        stop: &CancellationToken,
    ) -> Result<Self, RedisError> {
        let unreachable = |source| redis.unreachable(source);
        let reading = Tailer::connect(&redis).await.map_err(unreachable)?;
        let writing = Writer::connect(&redis).await.map_err(unreachable)?;
        let queue = Arc::new(Queue::new(limits));
        let mirrors = Arc::new(Mirrors::default());
        mirrors.open();
        let wake = Wake::of(process);
        let writer = Writer::new(redis.clone(), Arc::clone(&queue), stop.clone());
        let tailer = Tailer::new(redis.clone(), Arc::clone(&mirrors), wake.clone());
        spawner.spawn(Box::pin(writer.run(writing)));
        let stopped = stop.clone().cancelled_owned();
        let tailing = Arc::clone(&mirrors);
        spawner.spawn(Box::pin(async move {
            tokio::select! {
                () = stopped => {}
                () = tailer.run(reading) => {}
            }
            tailing.close();
        }));
        Ok(Self { local, redis, queue, mirrors, wake })
    }

    /// Asks whether there is a stream, and wakes the tailer so that it reads that, too.
    async fn is_there(&self, generation: GenerationId) -> RedisResult<bool> {
        let mut pipeline = redis::pipe();
        pipeline.exists(stream::key(generation));
        self.wake.add_to(&mut pipeline);
        let pipeline = &pipeline;
        let ask = |mut connection| async move { pipeline.query_async(&mut connection).await };
        let (is_there,) = self.redis.asked(ask).await?;
        Ok(is_there)
    }
}

#[async_trait]
impl GenerationLog for RedisGenerationLog {
    fn open(&self, generation: GenerationId) -> CancellationToken {
        self.local.open(generation)
    }

    fn append(&self, event: Arc<LoggedEvent>) {
        match self.local.record(Arc::clone(&event)) {
            Recorded::Logged(event) => self.queue.push(event),
            // The end of a reply whose process went away.
            Recorded::NotHere if event.kind.is_terminal() => self.queue.push(event),
            Recorded::NotHere | Recorded::Ignored => {}
        }
    }

    fn stored(&self, generation: GenerationId, seq: u64) {
        self.local.stored(generation, seq);
    }

    async fn subscribe(
        &self,
        generation: GenerationId,
        after: u64,
    ) -> Result<Option<EventStream>, PortError> {
        if let Some(events) = self.local.subscribe(generation, after).await? {
            return Ok(Some(events));
        }
        match self.mirrors.join(generation) {
            Joined::Away => Ok(None),
            Joined::Known(entry) => Ok(Some(entry.read(after))),
            Joined::New(entry) => {
                if let Ok(true) = self.is_there(generation).await {
                    return Ok(Some(entry.read(after)));
                }
                self.mirrors.end(generation);
                Ok(None)
            }
        }
    }

    fn cancel(&self, generation: GenerationId) -> bool {
        self.local.cancel(generation)
    }

    async fn left_behind(
        &self,
        generation: GenerationId,
        after: u64,
    ) -> Result<Vec<Arc<LoggedEvent>>, PortError> {
        let ask =
            |mut connection| async move { left_behind(&mut connection, generation, after).await };
        let left = self.redis.asked(ask).await;
        left.map_err(|error| PortError::Unavailable(error.into()))
    }
}
