//! Counting what callers ask for.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use repartee_domain::{
    ApiKeyId, UserId,
    limits::{Level, Quota},
    network::AddressBlock,
};

use super::PortError;

/// Whom something is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitSubject {
    User(UserId),
    Key(ApiKeyId),
    Address(AddressBlock),
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitClass {
    /// Whatever is asked.
    Requests,
    LogIns,
    Registrations,
    /// Passwords and addresses: asking for a link, and using it.
    Resets,
    /// What is asked by guests.
    Guests,
    Uploads,
    /// Entries in the audit log that tell of a limit of the class that has this name.
    Entries(&'static str),
}

/// Something that is counted for somebody. Those of one class, subject and window are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    pub class: LimitClass,
    pub subject: LimitSubject,
    pub quota: Quota,
}

/// What came of counting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// Of each counter, in their order; of those that are not counted, as it is.
    pub levels: Vec<Level>,
    /// When the same would be let in; `None` when it is.
    pub retry_after: Option<Duration>,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait RateLimiter: Send + Sync {
    /// Counts one more in all of the counters, or, where that is too much for any of them, in
    /// none. Of those that come at once no more are let in than the quotas allow ([`Quota::arrive`]
    /// says what that is), whichever process they come to, where processes share a limiter.
    ///
    /// # Errors
    /// [`PortError::Unavailable`], soon, where nobody can say. It may have been counted.
    async fn check(&self, counters: &[Counter]) -> Result<Decision, PortError>;
}

impl LimitClass {
    /// What it is known by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::LogIns => "login",
            Self::Registrations => "register",
            Self::Resets => "reset",
            Self::Guests => "guests",
            Self::Uploads => "uploads",
            Self::Entries(_) => "entries",
        }
    }

    /// Whether its limit keeps secrets from being guessed, and people from being flooded.
    pub const fn guards_accounts(self) -> bool {
        matches!(self, Self::LogIns | Self::Registrations | Self::Resets)
    }
}

/// What it is kept under: no two classes have the same.
impl fmt::Display for LimitClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::Entries(class) => write!(f, ":{class}"),
            _ => Ok(()),
        }
    }
}
