//! How many tokens a turn may take out of a month's budget.

use repartee_domain::replies::Turn;

use super::{Shared, runner::Job};
use crate::{Actor, budgeting, models::Model, ports::TurnBudget};

impl Shared {
    /// The most that the prompt and the reply may come to.
    pub(super) fn budget(
        &self,
        actor: &Actor,
        models: &[Model],
        turns: &[Turn],
        max_tokens: Option<u32>,
    ) -> TurnBudget {
        let bytes = turns.iter().map(|turn| turn.content.len()).sum();
        let of_user = self.rules.monthly_token_budget;
        budgeting::budget(actor, of_user, models, (turns.len(), bytes), max_tokens)
    }
}

impl Job {
    /// Asks for no longer a reply than what was reserved has room for.
    pub(super) fn keep_within(&mut self, tokens: u64) {
        self.max_tokens = self.turn.budget.reply_within(tokens).or(self.max_tokens);
    }
}
