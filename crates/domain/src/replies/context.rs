//! Which of the history a model gets to see.

use crate::messages::MessageRole;

/// One message as a model sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub role: MessageRole,
    pub content: String,
}

/// What a model can take in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextWindow {
    /// Tokens, prompt and reply together.
    pub context_tokens: u32,
    /// Kept free for the reply.
    pub reply_tokens: u32,
}

/// What the framing of one message costs, at the most, in the chat formats in use.
const TOKENS_PER_MESSAGE: usize = 8;

/// What so many messages cost beside their texts, at the most.
pub const fn framing_tokens(messages: usize) -> usize {
    messages.saturating_mul(TOKENS_PER_MESSAGE)
}

impl ContextWindow {
    /// Tokens that the prompt may have.
    pub fn prompt_tokens(&self) -> usize {
        self.context_tokens.saturating_sub(self.reply_tokens) as usize
    }

    /// How many of the newest messages fit beside the system message, which is always kept.
    ///
    /// `sizes` are the tokens of the messages, newest first; the newest one, the question, is
    /// always kept as well: a model that cannot take it says so itself. A text that has been cut
    /// off so that it begins with a reply loses that reply too, for models expect a question
    /// first; `begins_turn` tells which messages may come first.
    pub fn newest_that_fit(
        &self,
        system: usize,
        sizes: &[usize],
        begins_turn: impl Fn(usize) -> bool,
    ) -> usize {
        let mut left = self.prompt_tokens().saturating_sub(system + TOKENS_PER_MESSAGE);
        let mut fit = 0;
        for size in sizes {
            let Some(rest) = left.checked_sub(size + TOKENS_PER_MESSAGE) else { break };
            left = rest;
            fit += 1;
        }
        if fit < sizes.len() {
            while fit > 1 && !begins_turn(fit - 1) {
                fit -= 1;
            }
        }
        fit.max(sizes.len().min(1))
    }

    /// Whether texts of so many bytes fit without being counted: in the tokenizers in use no
    /// token is shorter than a byte.
    pub fn surely_fits(&self, bytes: usize, messages: usize) -> bool {
        bytes + (messages + 1) * TOKENS_PER_MESSAGE <= self.prompt_tokens()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: ContextWindow = ContextWindow { context_tokens: 200, reply_tokens: 50 };

    #[test]
    fn the_oldest_are_left_out_first() {
        // 150 for the prompt, 28 for the system message: room for four of 28.
        assert_eq!(WINDOW.newest_that_fit(20, &[20; 3], |_| true), 3);
        assert_eq!(WINDOW.newest_that_fit(20, &[20; 9], |_| true), 4);
    }

    #[test]
    fn a_cut_history_does_not_begin_with_a_reply() {
        // Newest first: question, reply, question, reply … so even positions are questions.
        assert_eq!(WINDOW.newest_that_fit(20, &[20; 9], |at| at % 2 == 0), 3);
    }

    #[test]
    fn the_question_goes_out_even_where_it_cannot_fit() {
        assert_eq!(WINDOW.newest_that_fit(500, &[5_000, 1], |_| true), 1);
        assert_eq!(WINDOW.newest_that_fit(500, &[], |_| true), 0);
    }

    proptest! {
        #[test]
        fn what_surely_fits_is_never_cut(sizes in prop::collection::vec(0usize..40, 0..12), system in 0usize..40) {
            let bytes = system + sizes.iter().sum::<usize>();
            if WINDOW.surely_fits(bytes, sizes.len()) {
                prop_assert_eq!(WINDOW.newest_that_fit(system, &sizes, |_| false), sizes.len());
            }
        }
    }
}
