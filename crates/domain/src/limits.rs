//! How much somebody may ask for.

mod gcra;
mod month;

use std::{num::NonZeroU32, time::Duration};

pub use self::{
    gcra::{Arrival, Arrivals},
    month::Month,
};

/// So many in so much time, and as many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    /// What callers know it by.
    pub name: &'static str,
    pub limit: NonZeroU32,
    /// Whole seconds, at least one.
    pub window: Duration,
}

/// How far somebody is into a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    pub quota: Quota,
    /// How many more there may be at once.
    pub remaining: u32,
    /// When there may be as many as the limit again.
    pub reset: Duration,
}

impl Quota {
    /// `None` for a limit of 0, which is none.
    pub fn a_minute(limit: u32) -> Option<Self> {
        Self::named("minute", limit, Duration::from_mins(1))
    }

    /// `None` for a limit of 0, which is none.
    pub fn an_hour(limit: u32) -> Option<Self> {
        Self::named("hour", limit, Duration::from_hours(1))
    }

    /// `None` for a limit of 0, which is none.
    pub fn named(name: &'static str, limit: u32, window: Duration) -> Option<Self> {
        NonZeroU32::new(limit).map(|limit| Self { name, limit, window })
    }
}
