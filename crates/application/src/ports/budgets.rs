//! Tokens of a month.

use async_trait::async_trait;
use repartee_domain::limits::Month;

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

/// What was used of the budgets, month by month.
#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait BudgetLedger: Send + Sync {
    /// Deletes what was used and reserved in the months before the given one. At most `limit`
    /// entries; gives how many.
    async fn forget(&self, before: Month, limit: u32) -> Result<u64, PortError>;
}
