//! How many tokens a turn may take out of a month's budget.

use repartee_domain::replies::{Turn, framing_tokens};

use super::{Shared, runner::Job};
use crate::{Actor, models::Model, ports::TurnBudget};

/// A reply with less than this is not worth beginning.
const LEAST_REPLY: u64 = 16;

impl Shared {
    /// The most that the prompt and the reply may come to, whichever of the models writes it, and
    /// however it counts: a token is never shorter than a byte.
    pub(super) fn budget(
        &self,
        actor: &Actor,
        models: &[Model],
        turns: &[Turn],
        max_tokens: Option<u32>,
    ) -> TurnBudget {
        let of_user = self.rules.monthly_token_budget;
        let of_key = actor.key().and_then(|key| key.monthly_token_budget);
        let limits = TurnBudget { of_user, of_key, ..TurnBudget::default() };
        if !limits.is_limited() {
            return limits;
        }
        let bytes: usize = turns.iter().map(|turn| turn.content.len()).sum();
        let prompt = bytes.saturating_add(framing_tokens(turns.len()));
        let reply = models.iter().map(|model| longest_reply(model, max_tokens)).max();
        let reply = u64::from(reply.unwrap_or(0));
        TurnBudget {
            prompt: u64::try_from(prompt).unwrap_or(u64::MAX),
            reply,
            least_reply: reply.min(LEAST_REPLY),
            ..limits
        }
    }
}

impl Job {
    /// Asks for no longer a reply than what was reserved has room for.
    pub(super) fn keep_within(&mut self, tokens: u64) {
        let budget = &self.turn.budget;
        if budget.is_limited() {
            let reply = tokens.saturating_sub(budget.prompt).max(1);
            self.max_tokens = Some(u32::try_from(reply).unwrap_or(u32::MAX));
        }
    }
}

/// What the context keeps free for it, where nothing else is said.
fn longest_reply(model: &Model, max_tokens: Option<u32>) -> u32 {
    let most = model.max_output_tokens.unwrap_or(model.window.reply_tokens);
    max_tokens.map_or(most, |asked| asked.min(model.max_output_tokens.unwrap_or(u32::MAX)))
}
