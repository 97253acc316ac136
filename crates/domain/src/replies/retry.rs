//! When to ask a model again.

use std::time::Duration;

/// Exponential back-off with full jitter, before the first token only: never the same text twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, of one model. At least 1.
    pub attempts: u32,
    /// The longest wait before the second attempt; it doubles with each further one.
    pub base: Duration,
    /// No wait is longer than this, nor is a `Retry-After` that asks for more obeyed: the next
    /// model is asked instead.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 3, base: Duration::from_millis(250), cap: Duration::from_secs(10) }
    }
}

impl RetryPolicy {
    /// How long to wait after the given failed attempt (the first is 1); `None` for no further
    /// attempt. `jitter` is a random number from 0 to 1; `retry_after` is what the provider asked
    /// for (RFC 9110, 10.2.3).
    pub fn wait_after(
        &self,
        attempt: u32,
        jitter: f64,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        if let Some(asked) = retry_after {
            return (asked <= self.cap).then_some(asked);
        }
        let doubled = 2u32.saturating_pow(attempt.saturating_sub(1));
        let longest = self.base.saturating_mul(doubled).min(self.cap);
        Some(longest.mul_f64(jitter.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { attempts: 4, base: Duration::from_millis(100), cap: Duration::from_secs(1) };

    #[test]
    fn waits_double_up_to_the_cap_and_then_it_gives_up() {
        let waits: Vec<_> = (1..=4).map(|attempt| POLICY.wait_after(attempt, 1.0, None)).collect();
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(waits, [ms(100), ms(200), ms(400), None]);
    }

    #[test]
    fn the_provider_says_when_unless_it_asks_for_too_long() {
        assert_eq!(POLICY.wait_after(1, 0.5, Some(Duration::ZERO)), Some(Duration::ZERO));
        assert_eq!(POLICY.wait_after(1, 0.5, Some(Duration::from_mins(1))), None);
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_the_cap(attempt: u32, jitter: f64) {
            let policy = RetryPolicy { attempts: u32::MAX, ..POLICY };
            prop_assert!(policy.wait_after(attempt, jitter, None).unwrap_or_default() <= policy.cap);
        }
    }
}
