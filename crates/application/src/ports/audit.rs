//! What is kept of what happened, and the chain that shows whether it was tampered with.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use repartee_domain::{
    UserId,
    audit::{Action, AuditEntry, AuditOutcome, Personal},
};

use super::PortError;
use crate::{
    Page, PageRequest,
    audit::{ChainHash, Head, SealedEntry},
};

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait AuditRecorder: Send + Sync {
    /// Stores an entry of something that no other commit tells of.
    async fn record(&self, entry: AuditEntry) -> Result<(), PortError>;
}

/// Which entries to read; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// Whom it was done by.
    pub user: Option<UserId>,
    pub action: Option<Action>,
    pub outcome: Option<AuditOutcome>,
    /// The first instant.
    pub from: Option<DateTime<Utc>>,
    /// The first instant after the last.
    pub to: Option<DateTime<Utc>>,
}

/// What a list of entries is ordered by: newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditKey {
    pub at: DateTime<Utc>,
    pub id: i64,
}

/// An entry as it is read. Its words are shown as they are stored, also those that this version
/// does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEntry {
    pub key: AuditKey,
    pub user: Option<UserId>,
    pub actor: String,
    pub action: String,
    pub resource: Option<String>,
    pub resource_id: Option<String>,
    pub outcome: String,
    /// A JSON object.
    pub details: String,
    /// Empty where the key of the person is gone.
    pub personal: Personal,
    pub request_id: Option<String>,
    /// Its place in the chain; `None` until it is sealed.
    pub sealed: Option<(u64, ChainHash)>,
}

/// Where the chain was, some day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// UTC.
    pub day: NaiveDate,
    pub head: Head,
    pub at: DateTime<Utc>,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Newest first. A fixed number of queries, however long the page is.
    async fn list(
        &self,
        filter: AuditFilter,
        page: PageRequest<AuditKey>,
    ) -> Result<Page<RecordedEntry, AuditKey>, PortError>;

    /// Puts at most `limit` entries that are in no place yet at the end of the chain, in the order
    /// of their ids. One at a time does so, whatever the number of processes; the others wait.
    /// Gives how many it were: 0 where there was nothing to do.
    async fn seal(&self, limit: u32) -> Result<u64, PortError>;

    /// The end of the chain; [`Head::START`] where nothing is sealed.
    async fn head(&self) -> Result<Head, PortError>;

    /// Entries after a place in the chain, in the order of the chain.
    async fn sealed(&self, after: u64, limit: u32) -> Result<Vec<SealedEntry>, PortError>;

    /// Keeps an anchor, unless there is one of its day.
    async fn keep_anchor(&self, anchor: Anchor) -> Result<(), PortError>;

    /// The anchor of the latest day.
    async fn last_anchor(&self) -> Result<Option<Anchor>, PortError>;

    /// The anchors at the places `first` to `last`, in their order.
    async fn anchors(&self, first: u64, last: u64) -> Result<Vec<Anchor>, PortError>;
}
