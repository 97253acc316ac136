//! Tells the other replicas whose feed has something new, and hears it from them.

use std::{collections::HashSet, io, sync::Arc, time::Duration};

use futures::StreamExt;
use redis::{RedisResult, aio::PubSub};
use repartee_application::ports::Spawner;
use repartee_domain::UserId;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, PREFIX, Redis, outage::Outage};

/// After a silence of so long it is asked whether Redis still listens.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Between two tries to connect.
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// Rings sent at a time.
const BATCH: usize = 256;

/// Joins the bell of this process to those of the others. A ring may be lost while Redis is away:
/// who waits for one has to look by itself now and then.
pub struct RedisBell {
    redis: Redis,
    /// Tells our own rings, which come back, from those of the others.
    process: Uuid,
    ring: Box<dyn Fn(UserId) + Send + Sync>,
    outage: Outage,
}

impl RedisBell {
    /// Until `stop`. Takes the rings of this process, and calls `ring` for those of the others.
    pub fn start(
        redis: Redis,
        process: Uuid,
        rings: mpsc::Receiver<UserId>,
        ring: impl Fn(UserId) + Send + Sync + 'static,
        spawner: &dyn Spawner,
        stop: &CancellationToken,
    ) {
        let outage = Outage::new(&redis, "feeds hear of other replicas' changes a little later");
        let bell = Arc::new(Self { redis, process, ring: Box::new(ring), outage });
        let telling = Arc::clone(&bell);
        let stopped = stop.clone();
        spawner.spawn(Box::pin(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = telling.tell(rings) => {}
            }
        }));
        let stopped = stop.clone();
        spawner.spawn(Box::pin(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = bell.hear() => {}
            }
        }));
    }

    async fn tell(&self, mut rings: mpsc::Receiver<UserId>) {
        let channel = channel();
        let mut waiting = Vec::with_capacity(BATCH);
        while rings.recv_many(&mut waiting, BATCH).await > 0 {
            let mut pipeline = redis::pipe();
            for user in waiting.drain(..).collect::<HashSet<_>>() {
                pipeline.cmd("PUBLISH").arg(&channel).arg(&self.ring_of(user)[..]).ignore();
            }
            if let Err(error) = pipeline.exec_async(&mut self.redis.shared()).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "rings were not told");
            }
        }
    }

    async fn hear(&self) {
        loop {
            if let Err(error) = self.listen().await {
                self.outage.began(&error);
            }
            sleep(TRY_AGAIN).await;
        }
    }

    /// Until the connection breaks.
    async fn listen(&self) -> RedisResult<()> {
        let bells = within(CONNECT_TIMEOUT + ANSWER_TIMEOUT, self.subscribed()).await?;
        self.outage.ended();
        let (mut sink, mut rings) = bells.split();
        loop {
            match timeout(PING_EVERY, rings.next()).await {
                Ok(Some(ring)) => self.heard(ring.get_payload_bytes()),
                Ok(None) => return Err(io::Error::from(io::ErrorKind::ConnectionReset).into()),
                Err(_) => within(ANSWER_TIMEOUT, sink.ping()).await?,
            }
        }
    }

    async fn subscribed(&self) -> RedisResult<PubSub> {
        let mut bells = self.redis.client.get_async_pubsub().await?;
        bells.subscribe(channel()).await?;
        Ok(bells)
    }

    fn heard(&self, ring: &[u8]) {
        if let Some((process, user)) = ring.split_at_checked(size_of::<Uuid>())
            && process != self.process.as_bytes()
            && let Ok(user) = Uuid::from_slice(user)
        {
            (self.ring)(UserId::from_uuid(user));
        }
    }

    /// Who rings, and for whom.
    fn ring_of(&self, user: UserId) -> [u8; 32] {
        let mut ring = [0; 32];
        let (process, whose) = ring.split_at_mut(size_of::<Uuid>());
        process.copy_from_slice(self.process.as_bytes());
        whose.copy_from_slice(user.as_uuid().as_bytes());
        ring
    }
}

fn channel() -> String {
    format!("{PREFIX}bell")
}

async fn within<T>(time: Duration, asked: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let answer = timeout(time, asked).await;
    answer.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}
