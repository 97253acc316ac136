//! How much one caller may ask for.

use super::SettingsError;
use super::reader::Reader;

const MOST: i64 = 1_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Per user.
    pub requests_per_minute: u32,
    /// Per user.
    pub requests_per_hour: u32,
    /// Per address.
    pub login_per_minute: u32,
    /// Per address.
    pub register_per_hour: u32,
    /// Per user; more are refused.
    pub concurrent_generations: usize,
    /// More wait their turn.
    pub total_generations: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestSettings {
    pub enabled: bool,
    /// Per address.
    pub requests_per_minute: u32,
}

impl LimitSettings {
    pub(super) fn read(reader: Reader<'_>) -> Result<Self, SettingsError> {
        Ok(Self {
            requests_per_minute: reader.number("limits.requests_per_minute", 1..=MOST)?,
            requests_per_hour: reader.number("limits.requests_per_hour", 1..=MOST)?,
            login_per_minute: reader.number("limits.login_per_minute", 1..=MOST)?,
            register_per_hour: reader.number("limits.register_per_hour", 1..=MOST)?,
            concurrent_generations: reader.number("limits.concurrent_generations", 1..=MOST)?,
            total_generations: reader.number("limits.total_generations", 1..=MOST)?,
        })
    }
}

impl GuestSettings {
    pub(super) fn read(reader: Reader<'_>) -> Result<Self, SettingsError> {
        Ok(Self {
            enabled: reader.flag("guests.enabled"),
            requests_per_minute: reader.number("guests.requests_per_minute", 1..=MOST)?,
        })
    }
}
