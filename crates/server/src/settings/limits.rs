//! How much one caller may ask for.

use repartee_application::feeds::FeedCursor;

use super::SettingsError;
use super::reader::Reader;

/// Of requests: so many that their intervals still are whole microseconds.
const MOST_REQUESTS: i64 = 1_000_000;
const MOST: i64 = 1_000_000_000;
/// Of a month.
const MOST_TOKENS: i64 = 1_000_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Per user, and ten times as many per address; 0 for no limit, as with the next five.
    pub requests_per_minute: u32,
    /// Per user, and ten times as many per address.
    pub requests_per_hour: u32,
    /// Per address.
    pub login_per_minute: u32,
    /// Per address.
    pub register_per_hour: u32,
    /// Per address.
    pub reset_per_hour: u32,
    /// Per user.
    pub uploads_per_minute: u32,
    /// Per user, in a calendar month (UTC); `None` for no limit.
    pub monthly_token_budget: Option<u64>,
    /// Event streams open at once, per user; 0 for no limit.
    pub streams_per_user: usize,
    /// Event streams and sockets open at once, per address; 0 for no limit.
    pub streams_per_address: usize,
    /// Per user; more are refused.
    pub concurrent_generations: u32,
    /// More wait their turn.
    pub total_generations: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestSettings {
    pub enabled: bool,
    /// Per address; 0 for no limit.
    pub requests_per_minute: u32,
}

impl LimitSettings {
    pub(super) fn read(reader: Reader<'_>) -> Result<Self, SettingsError> {
        Ok(Self {
            requests_per_minute: requests(reader, "limits.requests_per_minute")?,
            requests_per_hour: requests(reader, "limits.requests_per_hour")?,
            login_per_minute: requests(reader, "limits.login_per_minute")?,
            register_per_hour: requests(reader, "limits.register_per_hour")?,
            reset_per_hour: requests(reader, "limits.reset_per_hour")?,
            uploads_per_minute: requests(reader, "limits.uploads_per_minute")?,
            monthly_token_budget: Some(
                reader.number("limits.monthly_token_budget", 0..=MOST_TOKENS)?,
            )
            .filter(|budget| *budget > 0),
            streams_per_user: reader.number("limits.streams_per_user", 0..=MOST)?,
            streams_per_address: reader.number("limits.streams_per_address", 0..=MOST)?,
            // The cursor of a feed names each of them.
            concurrent_generations: reader
                .number("limits.concurrent_generations", 1..=i64::from(FeedCursor::MOST_REPLIES))?,
            total_generations: reader.number("limits.total_generations", 1..=MOST)?,
        })
    }
}

impl GuestSettings {
    pub(super) fn read(reader: Reader<'_>) -> Result<Self, SettingsError> {
        Ok(Self {
            enabled: reader.flag("guests.enabled"),
            requests_per_minute: requests(reader, "guests.requests_per_minute")?,
        })
    }
}

fn requests(reader: Reader<'_>, key: &str) -> Result<u32, SettingsError> {
    reader.number(key, 0..=MOST_REQUESTS)
}
