//! Links by which others read a conversation.

use chrono::{DateTime, TimeDelta, Utc};

use crate::FieldError;

/// A link ends after so many days at the latest, where it ends at all.
const MAX_DAYS: u32 = 3_650;

/// When a link ends that is made `now`; `None`: not by itself.
pub fn link_expiry(
    days: Option<u32>,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, FieldError> {
    let Some(days) = days else { return Ok(None) };
    let end = now.checked_add_signed(TimeDelta::days(days.into()));
    let end = end.filter(|_| (1..=MAX_DAYS).contains(&days));
    let refused = || {
        let detail = format!("must be 1 to {MAX_DAYS}");
        FieldError::new("expires_in_days", "out_of_range", detail)
    };
    end.map(Some).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_ends_when_its_days_are_over_or_never() {
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(link_expiry(None, now), Ok(None));
        assert_eq!(link_expiry(Some(7), now), Ok(Some(now + TimeDelta::days(7))));
        for days in [0, 3_651, u32::MAX] {
            assert_eq!(link_expiry(Some(days), now).unwrap_err().code, "out_of_range");
        }
    }
}
