//! The generic cell rate algorithm (ITU-T I.371), as virtual scheduling.
//!
//! Of each quota one instant is kept, the theoretical arrival time: when the next one would come
//! if all came evenly, at intervals of the window divided by the limit. Who comes earlier than that
//! is early by at most what makes a burst of the limit.
//!
//! What it guarantees, exactly: from a start of nothing `limit` are let in at once, and in any span
//! of time at most `limit` plus the number of intervals that fit into it. So no window sees more
//! than twice the limit, and in the long run nobody gets more than the limit a window; whoever has
//! used the limit up gets one an interval, and never waits for the end of a window.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Level, Quota};

/// Of one quota: what came so far. Microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrivals(i64);

/// Whether one more may come now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    Conforms(Arrivals),
    /// Not before so much time has passed.
    TooEarly(Duration),
}

impl Quota {
    /// Microseconds, at least one; rounded up, so that the limit holds.
    pub fn interval(&self) -> i64 {
        let window = i64::try_from(self.window.as_micros()).unwrap_or(i64::MAX);
        let limit = i64::from(self.limit.get());
        (window / limit + i64::from(window % limit != 0)).max(1)
    }

    /// Microseconds that a whole limit takes.
    fn span(&self) -> i64 {
        self.interval().saturating_mul(self.limit.get().into())
    }

    /// One more comes at `now`.
    pub fn arrive(&self, before: Option<Arrivals>, now: DateTime<Utc>) -> Arrival {
        let now = now.timestamp_micros();
        let due = self.due(before, now);
        let earliest = due - (self.span() - self.interval());
        if earliest > now {
            return Arrival::TooEarly(micros(earliest - now));
        }
        Arrival::Conforms(Arrivals(due + self.interval()))
    }

    /// What is left at `now`.
    pub fn level(&self, before: Option<Arrivals>, now: DateTime<Utc>) -> Level {
        let now = now.timestamp_micros();
        self.level_after(micros(self.due(before, now) - now))
    }

    /// What is left where the theoretical arrival time is so far away.
    pub fn level_after(&self, ahead: Duration) -> Level {
        let ahead_micros = i64::try_from(ahead.as_micros()).unwrap_or(i64::MAX);
        let remaining = (self.span() - ahead_micros).max(0) / self.interval();
        Level {
            quota: *self,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset: ahead,
        }
    }

    /// A clock that was set back costs nobody more than one window.
    fn due(&self, before: Option<Arrivals>, now: i64) -> i64 {
        before.map_or(now, |before| before.0.clamp(now, now.saturating_add(self.span())))
    }
}

impl Arrivals {
    /// Whether they say nothing any more.
    pub fn are_forgotten(&self, now: DateTime<Utc>) -> bool {
        self.0 <= now.timestamp_micros()
    }
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);

    fn quota(limit: u32, window: u64) -> Quota {
        Quota::named("test", limit, Duration::from_secs(window)).unwrap()
    }

    /// When those of `times` (microseconds after [`NOW`]) that conform come.
    fn conforming(quota: Quota, times: &[i64]) -> Vec<i64> {
        let mut arrivals = None;
        let conforms = |at: &&i64| match quota.arrive(arrivals, NOW + TimeDelta::microseconds(**at))
        {
            Arrival::Conforms(after) => {
                arrivals = Some(after);
                true
            }
            Arrival::TooEarly(_) => false,
        };
        times.iter().filter(conforms).copied().collect()
    }

    #[test]
    fn a_limit_may_come_at_once_and_then_one_an_interval() {
        let quota = quota(60, 60);
        assert_eq!(conforming(quota, &[0; 100]).len(), 60);
        let mut times = vec![0; 61];
        times.extend([999_999, 1_000_000, 1_000_000, 2_000_000]);
        assert_eq!(conforming(quota, &times)[60..], [1_000_000, 2_000_000]);
    }

    #[test]
    fn whoever_is_too_early_learns_when_to_come_and_is_not_counted() {
        let quota = quota(2, 60);
        let mut arrivals = None;
        for _ in 0..2 {
            let Arrival::Conforms(after) = quota.arrive(arrivals, NOW) else { panic!("too early") };
            arrivals = Some(after);
        }
        for _ in 0..2 {
            assert_eq!(quota.arrive(arrivals, NOW), Arrival::TooEarly(Duration::from_secs(30)));
        }
        let later = NOW + TimeDelta::seconds(30);
        assert!(matches!(quota.arrive(arrivals, later), Arrival::Conforms(_)));
    }

    #[test]
    fn what_is_left_grows_again() {
        let quota = quota(3, 60);
        let Arrival::Conforms(arrivals) = quota.arrive(None, NOW) else { panic!("too early") };
        let level = |seconds| quota.level(Some(arrivals), NOW + TimeDelta::seconds(seconds));
        assert_eq!((level(0).remaining, level(0).reset), (2, Duration::from_secs(20)));
        assert_eq!((level(19).remaining, level(19).reset), (2, Duration::from_secs(1)));
        assert_eq!((level(20).remaining, level(20).reset), (3, Duration::ZERO));
        assert_eq!(quota.level(None, NOW).remaining, 3);
        assert!(arrivals.are_forgotten(NOW + TimeDelta::seconds(20)));
        assert!(!arrivals.are_forgotten(NOW + TimeDelta::seconds(19)));
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let quota = quota(1, 60);
        let Arrival::Conforms(arrivals) = quota.arrive(None, NOW) else { panic!("too early") };
        let yesterday = NOW - TimeDelta::days(1);
        assert_eq!(
            quota.arrive(Some(arrivals), yesterday),
            Arrival::TooEarly(Duration::from_mins(1))
        );
    }

    proptest! {
        /// In any span at most the limit and as many more as intervals fit into it.
        #[test]
        fn no_span_sees_more_than_the_limit_and_its_intervals(
            limit in 1_u32..50,
            window in 1_u64..100,
            gaps in proptest::collection::vec(0_i64..3_000_000, 1..300),
        ) {
            let quota = quota(limit, window);
            let times: Vec<_> = gaps.iter().scan(0, |now, gap| { *now += gap; Some(*now) }).collect();
            let let_in = conforming(quota, &times);
            for (first, from) in let_in.iter().enumerate() {
                for (last, to) in let_in.iter().enumerate().skip(first) {
                    let most = i64::from(limit) + (to - from) / quota.interval();
                    prop_assert!(i64::try_from(last - first + 1).unwrap() <= most);
                }
            }
        }

        /// Whoever keeps to the rate is never refused.
        #[test]
        fn whoever_comes_evenly_always_conforms(limit in 1_u32..1_000_000, window in 1_u64..4_000) {
            let quota = quota(limit, window);
            let times: Vec<_> = (0..200).map(|n| n * quota.interval()).collect();
            prop_assert_eq!(conforming(quota, &times).len(), 200);
        }

        /// As many as are said to be left may come at once, and no more.
        #[test]
        fn what_is_left_may_come(limit in 1_u32..30, taken in 0_usize..40, wait in 0_i64..70_000_000) {
            let quota = quota(limit, 60);
            let mut times = vec![0; taken];
            let before = conforming(quota, &times).len();
            times.truncate(before);
            let mut arrivals = None;
            for _ in 0..before {
                if let Arrival::Conforms(after) = quota.arrive(arrivals, NOW) { arrivals = Some(after); }
            }
            let remaining = quota.level(arrivals, NOW + TimeDelta::microseconds(wait)).remaining;
            times.extend(vec![wait; 50]);
            prop_assert_eq!(conforming(quota, &times).len() - before, remaining as usize);
        }
    }
}
