//! Numbers that a seed repeats.

use std::hash::{BuildHasher, Hasher, RandomState};

/// `SplitMix64` (Steele, Lea, Flood 2014): enough to choose moments by.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// Another one each time, unless `REPARTEE_TEST_SEED` is set. The seed is printed, and so it is
    /// shown where the test fails.
    #[expect(clippy::disallowed_methods, reason = "a test has no configuration to read it from")]
    pub(crate) fn fresh() -> Self {
        let given = std::env::var("REPARTEE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        println!("REPARTEE_TEST_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to one less than `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
