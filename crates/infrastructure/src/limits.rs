//! Counting requests in this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::ports::{
    Clock, Counter, Decision, LimitClass, LimitSubject, PortError, RateLimiter,
};
use repartee_domain::limits::{Arrival, Arrivals};

use crate::generation_log::lock;

/// Counters in memory: about 100 bytes each.
const MOST: usize = 200_000;
/// So few are not worth being looked through.
const FEW: usize = 1_024;

/// Counts for this process alone. What it remembers is bounded: counters that say nothing any more
/// are forgotten, and where there are too many of the others, those that are forgotten next.
pub struct LocalRateLimiter {
    clock: Arc<dyn Clock>,
    counters: Mutex<Counters>,
}

struct Counters {
    arrivals: HashMap<Key, Arrivals>,
    most: usize,
    /// When there are so many, those that say nothing any more are looked for.
    look_at: usize,
}

type Key = (LimitClass, LimitSubject, Duration);

impl LocalRateLimiter {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_most(clock, MOST)
    }

    fn with_most(clock: Arc<dyn Clock>, most: usize) -> Self {
        let counters = Counters { arrivals: HashMap::new(), most, look_at: FEW.min(most) };
        Self { clock, counters: Mutex::new(counters) }
    }
}

#[async_trait]
impl RateLimiter for LocalRateLimiter {
    async fn check(&self, counters: &[Counter]) -> Result<Decision, PortError> {
        Ok(lock(&self.counters).check(counters, self.clock.now()))
    }
}

impl Counters {
    fn check(&mut self, counters: &[Counter], now: DateTime<Utc>) -> Decision {
        let mut counted = Vec::with_capacity(counters.len());
        let mut retry_after = None;
        for counter in counters {
            match counter.quota.arrive(self.of(counter), now) {
                Arrival::Conforms(arrivals) => counted.push((key(counter), arrivals)),
                Arrival::TooEarly(wait) => retry_after = retry_after.max(Some(wait)),
            }
        }
        if retry_after.is_none() {
            self.make_room(now);
            self.arrivals.extend(counted);
        }
        let level = |counter: &Counter| counter.quota.level(self.of(counter), now);
        Decision { levels: counters.iter().map(level).collect(), retry_after }
    }

    fn of(&self, counter: &Counter) -> Option<Arrivals> {
        self.arrivals.get(&key(counter)).copied()
    }

    fn make_room(&mut self, now: DateTime<Utc>) {
        if self.arrivals.len() < self.look_at {
            return;
        }
        self.arrivals.retain(|_, arrivals| !arrivals.are_forgotten(now));
        if self.arrivals.len() >= self.most {
            let mut all: Vec<_> = self.arrivals.values().copied().collect();
            let middle = all.len() / 2;
            let (_, median, _) = all.select_nth_unstable(middle);
            let median = *median;
            self.arrivals.retain(|_, arrivals| *arrivals > median);
        }
        // Looked for again when as many have come as were left, so that each costs the same.
        self.look_at = (self.arrivals.len() * 2).clamp(FEW.min(self.most), self.most);
    }
}

fn key(counter: &Counter) -> Key {
    (counter.class, counter.subject, counter.quota.window)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use chrono::TimeDelta;
    use repartee_domain::{limits::Quota, network::AddressBlock};

    use super::*;

    struct At(Mutex<DateTime<Utc>>);

    impl Clock for At {
        fn now(&self) -> DateTime<Utc> {
            *lock(&self.0)
        }
    }

    fn limiter(most: usize) -> (LocalRateLimiter, Arc<At>) {
        let clock = Arc::new(At(Mutex::new(DateTime::UNIX_EPOCH)));
        (LocalRateLimiter::with_most(clock.clone(), most), clock)
    }

    fn counter(address: u32, limit: u32) -> Counter {
        let address = AddressBlock::of(Ipv4Addr::from_bits(address).into());
        Counter {
            class: LimitClass::Requests,
            subject: LimitSubject::Address(address),
            quota: Quota::a_minute(limit).unwrap(),
        }
    }

    async fn is_admitted(limiter: &LocalRateLimiter, counter: Counter) -> bool {
        limiter.check(&[counter]).await.unwrap().is_admitted()
    }

    #[tokio::test]
    async fn time_makes_room_again() {
        let (limiter, clock) = limiter(MOST);
        let counter = counter(1, 2);
        assert!(is_admitted(&limiter, counter).await && is_admitted(&limiter, counter).await);
        let refused = limiter.check(&[counter]).await.unwrap();
        assert_eq!(refused.retry_after, Some(Duration::from_secs(30)));
        assert_eq!((refused.levels[0].remaining, refused.levels[0].reset.as_secs()), (0, 60));

        *lock(&clock.0) += TimeDelta::seconds(30);

        assert!(is_admitted(&limiter, counter).await);
        assert!(!is_admitted(&limiter, counter).await);
    }

    #[tokio::test]
    async fn what_says_nothing_any_more_is_forgotten() {
        let (limiter, clock) = limiter(MOST);
        for address in 0..5_000 {
            limiter.check(&[counter(address, 60)]).await.unwrap();
            *lock(&clock.0) += TimeDelta::milliseconds(100);
        }
        let kept = lock(&limiter.counters).arrivals.len();
        assert!(kept <= FEW, "ten of them are ahead of the time, and not {kept}");
    }

    #[tokio::test]
    async fn however_many_come_memory_is_bounded_and_the_busiest_stay() {
        let (limiter, _) = limiter(2_000);
        let busy = counter(u32::MAX, 2);
        while is_admitted(&limiter, busy).await {}
        for address in 0..20_000 {
            assert!(is_admitted(&limiter, counter(address, 60)).await);
            assert!(lock(&limiter.counters).arrivals.len() <= 2_000);
        }
        assert!(!is_admitted(&limiter, busy).await);
    }
}
