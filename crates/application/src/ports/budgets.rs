//! Tokens of a month.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_domain::{ApiKeyId, UserId, limits::Month};
use uuid::Uuid;

use super::PortError;

/// The tokens that a turn takes out of a calendar month (UTC): that in which it begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TurnBudget {
    /// What its owner may use in the month; `None` for any number.
    pub of_user: Option<u64>,
    /// What the key may use that asked for it.
    pub of_key: Option<u64>,
    /// Tokens of the prompt, at the most. Not counted where nothing is limited, as with the rest.
    pub prompt: u64,
    /// The most that the reply may have.
    pub reply: u64,
    /// The least that is worth beginning a reply for.
    pub least_reply: u64,
}

impl TurnBudget {
    pub fn is_limited(&self) -> bool {
        self.of_user.is_some() || self.of_key.is_some()
    }

    /// What is reserved, where there is enough.
    pub fn most(&self) -> u64 {
        self.prompt.saturating_add(self.reply)
    }

    pub fn least(&self) -> u64 {
        self.prompt.saturating_add(self.least_reply)
    }
}

/// A completion under way: nothing of it is stored but what it may yet use, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spending {
    pub id: Uuid,
    pub owner: UserId,
    /// The key that asked for it.
    pub api_key: Option<ApiKeyId>,
}

/// What has to hold for a completion to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSpending {
    pub spending: Spending,
    pub began_at: DateTime<Utc>,
    /// Who has not settled it by then never will.
    pub expires_at: DateTime<Utc>,
    /// How many replies and completions of its owner may run at once; `None` where it is not one of
    /// them.
    pub most_running: Option<u32>,
    pub budget: TurnBudget,
}

/// What came of reserving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// So many are there for prompt and reply; any number where nothing is limited.
    Tokens(u64),
    OverBudget,
    TooManyRunning,
}

/// What was used of the budgets, month by month.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait BudgetLedger: Send + Sync {
    /// Reserves tokens of the user and the key, as many as there are and at least
    /// [`TurnBudget::least`], and counts the completion as running. However many reserve at once,
    /// no limit is passed.
    async fn reserve(&self, wish: NewSpending) -> Result<Reserved, PortError>;

    /// Counts what was used in place of what was reserved, once: a completion that is settled or
    /// was never reserved for is passed over.
    async fn settle(&self, spending: &Spending, tokens: u64) -> Result<(), PortError>;

    /// Settles completions whose process went away: what was reserved for them counts as used, for
    /// nobody knows better. At most `limit`; gives how many.
    async fn expire(&self, now: DateTime<Utc>, limit: u32) -> Result<u64, PortError>;

    /// Deletes what was used and reserved in the months before the given one. At most `limit`
    /// entries; gives how many.
    async fn forget(&self, before: Month, limit: u32) -> Result<u64, PortError>;
}
