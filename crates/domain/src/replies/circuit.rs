//! When a provider is not worth asking.

use std::{collections::VecDeque, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

/// A circuit breaker: it opens after many turns failed, and while it is open nobody waits for a
/// provider that is dead. Then a single turn tries whether it is back.
///
/// ```text
/// closed → open → half open → closed
///            ↑        ↓
///            ←─────────
/// ```
#[derive(Debug, Clone)]
pub struct Circuit {
    rules: CircuitRules,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitRules {
    /// Turns failed in a row that open it.
    pub failures_in_a_row: u32,
    /// At least so many turns within `window`, half of them failed, open it as well.
    pub turns: usize,
    pub window: Duration,
    /// How long it stays open before one turn tries again, and how long that turn is waited for.
    pub pause: Duration,
}

impl Default for CircuitRules {
    fn default() -> Self {
        Self {
            failures_in_a_row: 10,
            turns: 20,
            window: Duration::from_secs(30),
            pause: Duration::from_secs(30),
        }
    }
}

#[derive(Debug, Clone)]
enum State {
    Closed {
        in_a_row: u32,
        /// The seconds of the window in which turns ended.
        recent: VecDeque<Second>,
    },
    /// Nobody is let through until then.
    Open { until: DateTime<Utc> },
    /// One turn tries; where nothing is heard of it until then, another does.
    HalfOpen { until: DateTime<Utc> },
}

#[derive(Debug, Clone)]
struct Second {
    /// Since the epoch.
    at: i64,
    turns: usize,
    failed: usize,
}

impl Circuit {
    pub fn new(rules: CircuitRules) -> Self {
        Self { rules, state: State::closed() }
    }

    /// Whether a turn may ask the provider now. Where it tries whether the provider is back, it
    /// is the only one.
    pub fn admit(&mut self, now: DateTime<Utc>) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until } | State::HalfOpen { until } if now < until => false,
            State::Open { .. } | State::HalfOpen { .. } => {
                self.state = State::HalfOpen { until: self.rules.pause_from(now) };
                true
            }
        }
    }

    /// A turn has begun to be answered: the provider is back, where it was away.
    pub fn answers(&mut self) {
        if !matches!(self.state, State::Closed { .. }) {
            self.state = State::closed();
        }
    }

    /// A turn was answered.
    pub fn succeeded(&mut self, now: DateTime<Utc>) {
        match &mut self.state {
            State::Closed { in_a_row, recent } => {
                *in_a_row = 0;
                self.rules.remember(recent, now, false);
            }
            // Also one that began before it opened: the provider answers.
            State::Open { .. } | State::HalfOpen { .. } => self.state = State::closed(),
        }
    }

    /// A turn failed, after all its attempts.
    pub fn failed(&mut self, now: DateTime<Utc>) {
        let is_too_much = match &mut self.state {
            State::Closed { in_a_row, recent } => {
                *in_a_row += 1;
                self.rules.remember(recent, now, true);
                *in_a_row >= self.rules.failures_in_a_row || self.rules.is_half_failed(recent)
            }
            State::HalfOpen { .. } => true,
            // It began before it opened, and says nothing new.
            State::Open { .. } => false,
        };
        if is_too_much {
            self.state = State::Open { until: self.rules.pause_from(now) };
        }
    }

    /// A turn was stopped before it was answered: where it was to try whether the provider is back,
    /// the next one does.
    pub fn abandoned(&mut self, now: DateTime<Utc>) {
        if matches!(self.state, State::HalfOpen { .. }) {
            self.state = State::Open { until: now };
        }
    }

    /// Whether nobody would be let through now.
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        matches!(self.state, State::Open { until } | State::HalfOpen { until } if now < until)
    }
}

impl State {
    fn closed() -> Self {
        Self::Closed { in_a_row: 0, recent: VecDeque::new() }
    }
}

impl CircuitRules {
    fn remember(&self, recent: &mut VecDeque<Second>, now: DateTime<Utc>, is_failure: bool) {
        let now = now.timestamp();
        let window = i64::try_from(self.window.as_secs()).unwrap_or(i64::MAX);
        while recent.front().is_some_and(|second| now.saturating_sub(second.at) > window) {
            recent.pop_front();
        }
        let failed = usize::from(is_failure);
        match recent.back_mut() {
            // A clock that was set back counts for the second that it was at.
            Some(second) if second.at >= now => {
                second.turns += 1;
                second.failed += failed;
            }
            _ => recent.push_back(Second { at: now, turns: 1, failed }),
        }
    }

    fn is_half_failed(&self, recent: &VecDeque<Second>) -> bool {
        let turns: usize = recent.iter().map(|second| second.turns).sum();
        let failed: usize = recent.iter().map(|second| second.failed).sum();
        turns >= self.turns && failed * 2 >= turns
    }

    fn pause_from(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let pause = TimeDelta::from_std(self.pause).unwrap_or(TimeDelta::MAX);
        now.checked_add_signed(pause).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);

    fn at(seconds: i64) -> DateTime<Utc> {
        NOW + TimeDelta::seconds(seconds)
    }

    fn opened() -> Circuit {
        let mut circuit = Circuit::new(CircuitRules::default());
        (0..10).for_each(|_| circuit.failed(NOW));
        circuit
    }

    #[test]
    fn ten_failures_in_a_row_open_it_and_nine_do_not() {
        let mut circuit = Circuit::new(CircuitRules::default());
        (0..9).for_each(|_| circuit.failed(NOW));
        assert!(circuit.admit(NOW));
        circuit.failed(NOW);
        assert!(!circuit.admit(NOW));
        assert!(!circuit.admit(at(29)));
        assert!(circuit.admit(at(30)));
    }

    #[test]
    fn a_success_between_begins_the_row_anew() {
        let mut circuit = Circuit::new(CircuitRules::default());
        (0..9).for_each(|_| circuit.failed(NOW));
        circuit.succeeded(NOW);
        circuit.failed(NOW);
        assert!(circuit.admit(NOW));
    }

    #[test]
    fn half_of_twenty_within_the_window_open_it() {
        let mut circuit = Circuit::new(CircuitRules::default());
        for turn in 0..20 {
            assert!(circuit.admit(at(turn)), "{turn}");
            if turn % 2 == 0 { circuit.succeeded(at(turn)) } else { circuit.failed(at(turn)) }
        }
        assert!(!circuit.admit(at(20)));
    }

    #[test]
    fn failures_that_are_long_ago_do_not_count() {
        let mut circuit = Circuit::new(CircuitRules::default());
        for turn in 0..100 {
            let is_failure = turn % 2 == 1;
            let now = at(turn * 10);
            if is_failure {
                circuit.failed(now);
            } else {
                circuit.succeeded(now);
            }
            assert!(circuit.admit(now), "four turns in 30 s");
        }
    }

    #[test]
    fn after_the_pause_one_turn_tries_and_decides() {
        let mut circuit = opened();
        assert!(!circuit.admit(at(29)));
        assert!(circuit.admit(at(30)));
        assert!(!circuit.admit(at(31)), "one at a time");
        circuit.failed(at(32));
        assert!(!circuit.admit(at(61)));
        assert!(circuit.admit(at(62)));
        circuit.succeeded(at(63));
        assert!(circuit.admit(at(63)) && circuit.admit(at(63)));
    }

    #[test]
    fn a_try_that_nothing_is_heard_of_does_not_block_for_ever() {
        let mut circuit = opened();
        assert!(circuit.admit(at(30)));
        assert!(circuit.admit(at(60)));
    }

    #[test]
    fn a_busy_provider_is_judged_by_the_whole_window() {
        let mut circuit = Circuit::new(CircuitRules::default());
        (0..1_000).for_each(|_| circuit.succeeded(NOW));
        for _ in 0..200 {
            circuit.failed(at(20));
            circuit.succeeded(at(20));
        }
        assert!(circuit.admit(at(20)), "200 of 1,400");

        // What was before the window says nothing any more.
        circuit.failed(at(31));
        assert!(!circuit.admit(at(31)), "201 of 401");
    }

    #[test]
    fn a_try_that_was_stopped_is_made_again_at_once() {
        let mut circuit = opened();
        circuit.abandoned(at(1));
        assert!(!circuit.admit(at(1)), "there was none");
        assert!(circuit.admit(at(31)));
        assert!(!circuit.admit(at(31)));
        circuit.abandoned(at(31));
        assert!(circuit.admit(at(31)));
        assert!(!circuit.admit(at(31)), "one at a time");
    }

    #[test]
    fn an_answer_that_begins_closes_it_and_is_no_success_yet() {
        let mut circuit = opened();
        assert!(circuit.admit(at(31)));
        circuit.answers();
        assert!(circuit.admit(at(31)));

        (0..9).for_each(|_| circuit.failed(at(31)));
        circuit.answers();
        circuit.failed(at(31));
        assert!(!circuit.admit(at(31)));
    }
}
