//! The log of live events: in this process, or shared with other replicas through Redis.

use std::sync::Arc;

use repartee_application::ports::{CacheProbe, GenerationLog, RateLimiter};
use repartee_infrastructure::{
    generation_log::{LocalGenerationLog, Retention},
    redis::{QueueLimits, Redis, RedisBell, RedisGenerationLog, RedisRateLimiter},
};
use tokio_util::sync::CancellationToken;

use crate::{StartError, ground::Ground, settings::Settings};

/// What replicas share through Redis, and one process has by itself.
pub(crate) struct Live {
    pub(crate) log: Arc<dyn GenerationLog>,
    /// Counts for all replicas.
    pub(crate) limiter: Option<Arc<dyn RateLimiter>>,
    /// Whether Redis answers; `None` where none is configured.
    pub(crate) cache: Option<Arc<dyn CacheProbe>>,
}

/// Connects to Redis where one is configured, and uses it until `stop`: for the events of replies,
/// to count requests, and to tell other replicas of changes in the database.
pub(crate) async fn connect(
    settings: &Settings,
    ground: &Ground,
    stop: &CancellationToken,
) -> Result<Live, StartError> {
    let Ground { database, clock, ids, spawner } = ground;
    let local = LocalGenerationLog::new(clock.clone(), Retention::default());
    let Some(url) = &settings.redis_url else {
        return Ok(Live { log: Arc::new(local), limiter: None, cache: None });
    };
    let redis = Redis::connect(url).await?;
    let process = ids.id();
    let limits = QueueLimits::default();
    let log = RedisGenerationLog::start(redis.clone(), local, limits, process, spawner, stop);
    let log = log.await?;
    let bell = database.bell().clone();
    let rings = bell.rings();
    RedisBell::start(redis.clone(), process, rings, move |user| bell.ring(user), spawner, stop);
    Ok(Live {
        log: Arc::new(log),
        limiter: Some(Arc::new(RedisRateLimiter::new(
            redis.clone(),
            RedisRateLimiter::ANSWER_WITHIN,
        ))),
        cache: Some(Arc::new(redis)),
    })
}
