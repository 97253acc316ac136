//! What a reply used, and what that costs.

/// Tokens of one reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
    /// Counted by the tokenizer here, because the provider gave no figures.
    pub estimated: bool,
}

/// Micro-units (millionths) of the price list's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cost(pub i64);

/// What a model's tokens cost, in nano-units (thousandths of a micro-unit) a token. Price lists
/// quote currency units per million tokens: 0.15 there is 150 here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Price {
    pub input: u32,
    pub output: u32,
}

impl Usage {
    pub fn total_tokens(self) -> u32 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }
}

impl Price {
    /// Rounded up to a whole micro-unit, so that nothing that was used is free.
    pub fn of(self, usage: Usage) -> Cost {
        let nano = u128::from(self.input) * u128::from(usage.prompt_tokens)
            + u128::from(self.output) * u128::from(usage.completion_tokens);
        Cost(i64::try_from(nano.div_ceil(1000)).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_list_in_units_per_million_tokens_gives_micro_units() {
        let price = Price { input: 150, output: 600 }; // 0.15 and 0.60 a million
        let usage = Usage { prompt_tokens: 1_000, completion_tokens: 500, estimated: false };
        assert_eq!(price.of(usage), Cost(150 + 300));
    }

    #[test]
    fn the_smallest_use_costs_something_and_the_largest_does_not_overflow() {
        let one = Usage { prompt_tokens: 1, completion_tokens: 0, estimated: false };
        assert_eq!(Price { input: 1, output: 0 }.of(one), Cost(1));

        let most = Usage { prompt_tokens: u32::MAX, completion_tokens: u32::MAX, estimated: false };
        assert!(Price { input: u32::MAX, output: u32::MAX / 2 }.of(most) > Cost(0));
    }
}
