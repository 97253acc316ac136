//! Log-ins that failed, counted by name.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_domain::audit::AuditEntry;

use super::PortError;

/// SHA-256 of a name that somebody typed in to log in, whether anybody is called so or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NameHash(pub [u8; 32]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginFailures {
    /// In a row, since the last success.
    pub failures: u32,
    pub wait_until: Option<DateTime<Utc>>,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait LoginFailureRepository: Send + Sync {
    async fn find(&self, name: NameHash) -> Result<Option<LoginFailures>, PortError>;

    /// Counts one more failure, and lets the name wait for as long as [`wait_after`] says. Of any
    /// number of concurrent calls each is counted.
    ///
    /// [`wait_after`]: repartee_domain::accounts::wait_after
    async fn count(
        &self,
        name: NameHash,
        now: DateTime<Utc>,
        entry: AuditEntry,
    ) -> Result<(), PortError>;

    /// After a success.
    async fn clear(&self, name: NameHash) -> Result<(), PortError>;

    /// Deletes at most `limit` names that failed last before this; gives how many.
    async fn forget(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, PortError>;
}
