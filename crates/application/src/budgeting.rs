//! How many tokens a question may take out of a month's budget.

use repartee_domain::replies::framing_tokens;

use crate::{Actor, models::Model, ports::TurnBudget};

/// A reply with less than this is not worth beginning.
const LEAST_REPLY: u64 = 16;

/// The most that the prompt and the reply may come to, whichever of the models writes it, and
/// however it counts: a token is never shorter than a byte. `of_user` is what the actor may use in
/// a month; `prompt` is how many messages there are, and bytes of all of them together.
pub(crate) fn budget(
    actor: &Actor,
    of_user: Option<u64>,
    models: &[Model],
    prompt: (usize, usize),
    max_tokens: Option<u32>,
) -> TurnBudget {
    let of_key = actor.key().and_then(|key| key.monthly_token_budget);
    let limits = TurnBudget { of_user, of_key, ..TurnBudget::default() };
    if !limits.is_limited() {
        return limits;
    }
    let (messages, bytes) = prompt;
    let prompt = bytes.saturating_add(framing_tokens(messages));
    let reply = models.iter().map(|model| longest_reply(model, max_tokens)).max();
    let reply = u64::from(reply.unwrap_or(0));
    TurnBudget {
        prompt: u64::try_from(prompt).unwrap_or(u64::MAX),
        reply,
        least_reply: reply.min(LEAST_REPLY),
        ..limits
    }
}

impl TurnBudget {
    /// The longest reply that what was reserved has room for; `None` where nothing is limited.
    pub(crate) fn reply_within(&self, tokens: u64) -> Option<u32> {
        let reply = tokens.saturating_sub(self.prompt).max(1);
        self.is_limited().then(|| u32::try_from(reply).unwrap_or(u32::MAX))
    }
}

/// What the context keeps free for it, where nothing else is said.
fn longest_reply(model: &Model, max_tokens: Option<u32>) -> u32 {
    let most = model.max_output_tokens.unwrap_or(model.window.reply_tokens);
    max_tokens.map_or(most, |asked| asked.min(model.max_output_tokens.unwrap_or(u32::MAX)))
}
