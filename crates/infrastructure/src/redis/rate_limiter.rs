//! Counting requests in Redis, for all replicas together and by Redis's clock.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use redis::{RedisError, RedisResult, Script};
use repartee_application::ports::{Counter, Decision, LimitSubject, PortError, RateLimiter};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{PREFIX, Redis, outage::Outage};
use crate::{generation_log::lock, within::within};

/// [`Quota::arrive`](repartee_domain::limits::Quota::arrive), of several quotas at once.
const SCRIPT: &str = include_str!("rate_limiter.lua");
/// For so long nobody asks a Redis that did not answer; then one request tries for all.
const REST: Duration = Duration::from_millis(500);

pub struct RedisRateLimiter {
    redis: Redis,
    script: Arc<Script>,
    answer_within: Duration,
    outage: Outage,
    /// While Redis is away.
    rests_until: Mutex<Option<Instant>>,
}

impl RedisRateLimiter {
    /// No request should wait longer than this to hear whether it may go on.
    pub const ANSWER_WITHIN: Duration = Duration::from_millis(250);

    /// A Redis that has not answered after `answer_within` is taken for one that is away.
    pub fn new(redis: Redis, answer_within: Duration) -> Self {
        let outage = Outage::new(
            &redis,
            "log-ins are limited by each process alone, and other requests not at all",
        );
        let script = Arc::new(Script::new(SCRIPT));
        Self { redis, script, answer_within, outage, rests_until: Mutex::new(None) }
    }

    fn is_resting(&self) -> bool {
        let now = Instant::now();
        let mut rests_until = lock(&self.rests_until);
        match *rests_until {
            Some(end) if now < end => true,
            Some(_) => {
                // This one tries; the others go on without.
                *rests_until = Some(now + REST);
                false
            }
            None => false,
        }
    }

    /// How long to wait, and how far each counter is ahead of the time, in microseconds.
    async fn ask(&self, counters: &[Counter]) -> RedisResult<(i64, Vec<i64>)> {
        self.redis
            .asked(|mut connection| {
                let script = Arc::clone(&self.script);
                async move {
                    let mut call = script.prepare_invoke();
                    for counter in counters {
                        call.key(key(counter));
                        call.arg(counter.quota.interval()).arg(counter.quota.limit.get());
                    }
                    call.invoke_async(&mut connection).await
                }
            })
            .await
    }
}

#[async_trait]
impl RateLimiter for RedisRateLimiter {
    async fn check(&self, counters: &[Counter]) -> Result<Decision, PortError> {
        if self.is_resting() {
            return Err(PortError::Unavailable("Redis did not answer a moment ago".into()));
        }
        let late = || RedisError::from(io::Error::from(io::ErrorKind::TimedOut));
        let answer = within(self.answer_within, self.ask(counters)).await;
        match answer.unwrap_or_else(|_| Err(late())) {
            Ok((wait, ahead)) => {
                *lock(&self.rests_until) = None;
                self.outage.ended();
                let levels = counters.iter().zip(ahead);
                Ok(Decision {
                    levels: levels.map(|(c, ahead)| c.quota.level_after(micros(ahead))).collect(),
                    retry_after: (wait > 0).then(|| micros(wait)),
                })
            }
            Err(error) => {
                *lock(&self.rests_until) = Some(Instant::now() + REST);
                self.outage.began(&error);
                Err(PortError::Unavailable(error.into()))
            }
        }
    }
}

/// Addresses are personal: only a hash of them is written.
fn key(counter: &Counter) -> String {
    let subject = match counter.subject {
        LimitSubject::User(id) => format!("user:{id}"),
        LimitSubject::Key(id) => format!("key:{id}"),
        LimitSubject::Address(block) => {
            let hash = Sha256::digest(block.address().to_string());
            let half = hash.iter().take(16).fold(0, |half, byte| half << 8 | u128::from(*byte));
            format!("address:{half:032x}")
        }
    };
    let (class, window) = (counter.class, counter.quota.window.as_secs());
    format!("{PREFIX}limits:{class}:{subject}:{window}")
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
