//! Calendar months, by which tokens are budgeted.

use std::{fmt, time::Duration};

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};

/// A calendar month in UTC. Written as `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    first: NaiveDate,
}

impl Month {
    pub fn of(at: DateTime<Utc>) -> Self {
        let date = at.date_naive();
        Self { first: date.with_day(1).unwrap_or(date) }
    }

    #[must_use]
    pub fn previous(self) -> Self {
        Self { first: self.first.checked_sub_months(Months::new(1)).unwrap_or(NaiveDate::MIN) }
    }

    /// From `now` to its end.
    pub fn left(self, now: DateTime<Utc>) -> Duration {
        let next = self.first.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX);
        (next.and_time(NaiveTime::MIN).and_utc() - now).to_std().unwrap_or_default()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_a_january_comes_a_december() {
        for (at, previous) in [
            ("2026-01-31T00:00:00Z", "2025-12"),
            ("2026-12-01T00:00:00Z", "2026-11"),
            ("2028-03-31T23:59:59Z", "2028-02"),
        ] {
            assert_eq!(Month::of(at.parse().unwrap()).previous().to_string(), previous);
        }
    }

    #[test]
    fn a_month_is_named_and_ends() {
        for (at, name, left) in [
            ("2026-11-30T23:59:59Z", "2026-11", 1),
            ("2026-12-31T00:00:00Z", "2026-12", 86_400),
            ("2028-02-29T12:00:00Z", "2028-02", 43_200),
        ] {
            let at: DateTime<Utc> = at.parse().unwrap();
            let month = Month::of(at);
            assert_eq!(month.to_string(), name);
            assert_eq!(month.left(at), Duration::from_secs(left));
        }
    }
}
