//! The time at which a word leaves, in the word itself: so a reader knows how long it took.

use std::time::{SystemTime, UNIX_EPOCH};

use memchr::memmem;

/// What a stamp follows.
const MARK: &[u8] = b"~@";
const DIGITS: usize = 16;

/// A word whose stamp is yet to be set.
pub(super) fn word(number: usize) -> String {
    format!("tok~{number}~@{:0DIGITS$} ", 0)
}

/// Sets every stamp in `text`.
pub(super) fn set(text: &mut [u8]) {
    let stamp = format!("{:0DIGITS$}", now_us());
    let found: Vec<usize> = memmem::find_iter(text, MARK).collect();
    for at in found {
        if let Some(digits) = text.get_mut(at + MARK.len()..at + MARK.len() + DIGITS) {
            digits.copy_from_slice(stamp.as_bytes());
        }
    }
}

/// How many microseconds ago each word in `text` left.
pub fn ages_us(text: &[u8], now_us: u64) -> impl Iterator<Item = u64> {
    let stamps = memmem::find_iter(text, MARK).filter_map(|at| {
        let digits = text.get(at + MARK.len()..at + MARK.len() + DIGITS)?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    });
    stamps.map(move |left: u64| now_us.saturating_sub(left))
}

/// Microseconds since 1970: one clock for the processes of one machine.
#[expect(clippy::disallowed_methods, reason = "no other clock is common to two processes")]
pub fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_that_is_set_is_read_again() {
        let before = now_us();
        let mut text = format!("{{\"text\":\"{}{}\"}}", word(7), word(8)).into_bytes();
        let length = text.len();
        set(&mut text);
        assert_eq!(text.len(), length);
        let after = now_us();
        let stamps: Vec<u64> = ages_us(&text, u64::MAX).map(|age| u64::MAX - age).collect();
        assert_eq!(stamps.len(), 2);
        assert!(stamps.iter().all(|stamp| (before..=after).contains(stamp)), "{stamps:?}");
    }
}
