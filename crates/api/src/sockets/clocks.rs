//! What time does to a socket.

use std::time::Duration;

use tokio::time::Instant;

const PING: Duration = Duration::from_secs(20);
/// Without any sign of life.
const IDLE: Duration = Duration::from_mins(1);
/// For a new token, once the old one ran out.
const GRACE: Duration = Duration::from_secs(30);

pub(super) struct Clocks {
    heard: Instant,
    pinged: Instant,
    /// When the token runs out, or, once that was said, when the socket closes for it.
    expires: Instant,
    has_expired: bool,
    /// Since when a frame waits to be written.
    stands_still: Option<Instant>,
    stalled_after: Duration,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tick {
    Nothing,
    Ping,
    /// The token ran out.
    Expired,
    /// No new one came.
    Unauthenticated,
    Idle,
    /// Nothing can be written.
    Stalled,
}

impl Clocks {
    pub(super) fn new(time_left: Duration, stalled_after: Duration) -> Self {
        let now = Instant::now();
        Self {
            heard: now,
            pinged: now,
            expires: now + time_left,
            has_expired: false,
            stands_still: None,
            stalled_after,
        }
    }

    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// Whether a new token is waited for.
    pub(super) fn has_expired(&self) -> bool {
        self.has_expired
    }

    pub(super) fn authenticated(&mut self, time_left: Duration) {
        self.expires = Instant::now() + time_left;
        self.has_expired = false;
    }

    /// A frame begins to wait.
    pub(super) fn waits(&mut self) {
        self.stands_still.get_or_insert_with(Instant::now);
    }

    /// A frame was written; more may wait.
    pub(super) fn wrote(&mut self, is_all: bool) {
        self.stands_still = (!is_all).then(Instant::now);
    }

    /// When to look again.
    pub(super) fn next(&self) -> Instant {
        let first = self.expires.min(self.heard + IDLE).min(self.pinged + PING);
        self.stands_still.map_or(first, |since| first.min(since + self.stalled_after))
    }

    pub(super) fn tick(&mut self) -> Tick {
        let now = Instant::now();
        if self.stands_still.is_some_and(|since| since + self.stalled_after <= now) {
            return Tick::Stalled;
        }
        if self.heard + IDLE <= now {
            return Tick::Idle;
        }
        if self.expires <= now {
            if self.has_expired {
                return Tick::Unauthenticated;
            }
            self.has_expired = true;
            self.expires = now + GRACE;
            return Tick::Expired;
        }
        if self.pinged + PING <= now {
            self.pinged = now;
            return Tick::Ping;
        }
        Tick::Nothing
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep_until};

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    /// The next thing that is due, and after how many seconds.
    async fn due(clocks: &mut Clocks) -> (Tick, u64) {
        let since = Instant::now();
        sleep_until(clocks.next()).await;
        (clocks.tick(), since.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_asked_about_and_then_ends_it() {
        let mut clocks = Clocks::new(LONG, LONG);
        assert_eq!(due(&mut clocks).await, (Tick::Ping, 20));
        clocks.heard();
        assert_eq!(due(&mut clocks).await, (Tick::Ping, 20));
        assert_eq!(due(&mut clocks).await, (Tick::Ping, 20));
        assert_eq!(due(&mut clocks).await, (Tick::Idle, 20));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_runs_out_leaves_half_a_minute_for_another() {
        let mut clocks = Clocks::new(Duration::from_secs(5), LONG);
        assert_eq!(due(&mut clocks).await, (Tick::Expired, 5));
        clocks.authenticated(Duration::from_secs(10));
        assert_eq!(due(&mut clocks).await, (Tick::Expired, 10));
        clocks.heard();
        assert_eq!(due(&mut clocks).await, (Tick::Ping, 5));
        clocks.heard();
        assert_eq!(due(&mut clocks).await, (Tick::Ping, 20));
        assert_eq!(due(&mut clocks).await, (Tick::Unauthenticated, 5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stands_still_is_noticed_and_a_slow_one_is_not() {
        let mut clocks = Clocks::new(LONG, Duration::from_secs(10));
        for _ in 0..3 {
            clocks.waits();
            advance(Duration::from_secs(6)).await;
            clocks.heard();
            clocks.wrote(true);
            assert_ne!(clocks.tick(), Tick::Stalled);
        }
        clocks.waits();
        advance(Duration::from_secs(10)).await;
        assert_eq!(clocks.tick(), Tick::Stalled);
    }
}
