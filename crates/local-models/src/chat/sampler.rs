//! Which token comes next.

use std::hash::{BuildHasher, RandomState};

use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};

use super::engine::EngineError;

/// Sharp enough for facts, loose enough not to run in circles.
const DEFAULT_TEMPERATURE: f32 = 0.2;
/// Small models loop without it; from 1.15 on it spoils facts.
const REPEAT_PENALTY: f32 = 1.1;
/// How many of the reply's last tokens are penalised.
const REPEAT_WINDOW: usize = 64;
/// A hot temperature would otherwise reach words that make no sense at all.
const TOP_K: usize = 40;

pub(crate) struct Sampler {
    processor: LogitsProcessor,
    said: Vec<u32>,
}

impl Sampler {
    /// `temperature` 0 always takes the likeliest token.
    pub(crate) fn new(temperature: Option<f32>) -> Self {
        let temperature = f64::from(temperature.unwrap_or(DEFAULT_TEMPERATURE).clamp(0.0, 2.0));
        let sampling = if temperature > 0.0 {
            Sampling::TopK { k: TOP_K, temperature }
        } else {
            Sampling::ArgMax
        };
        // The keys of std's hash maps are random: enough to choose words by.
        let seed = RandomState::new().hash_one(0_u8);
        Self { processor: LogitsProcessor::from_sampling(seed, sampling), said: Vec::new() }
    }

    /// Picks the token to follow, given a score for every token of the vocabulary.
    pub(crate) fn next(&mut self, mut logits: Vec<f32>) -> Result<u32, EngineError> {
        self.penalise_repetition(&mut logits);
        let count = logits.len();
        let token = self.processor.sample(&Tensor::from_vec(logits, count, &Device::Cpu)?)?;
        self.said.push(token);
        Ok(token)
    }

    /// Only what the reply itself said: to penalise the prompt would forbid the question's own
    /// words, and the token that ends a turn.
    fn penalise_repetition(&self, logits: &mut [f32]) {
        let window = &self.said[self.said.len().saturating_sub(REPEAT_WINDOW)..];
        for (at, token) in window.iter().enumerate() {
            if window[..at].contains(token) {
                continue;
            }
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit =
                    if *logit > 0.0 { *logit / REPEAT_PENALTY } else { *logit * REPEAT_PENALTY };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_temperature_zero_the_likeliest_wins_until_it_repeats_itself() {
        let mut sampler = Sampler::new(Some(0.0));
        let logits = || vec![0.0, 1.0, 1.05, -1.0];

        assert_eq!(sampler.next(logits()).unwrap(), 2);
        assert_eq!(sampler.next(logits()).unwrap(), 1);
        // Both are penalised now, and once each however often they came.
        assert_eq!(sampler.next(logits()).unwrap(), 2);
        assert_eq!(sampler.next(logits()).unwrap(), 2);
    }

    #[test]
    fn a_token_is_free_again_once_it_is_long_ago() {
        let mut sampler = Sampler::new(Some(0.0));
        sampler.said = vec![0; 1];
        sampler.said.extend([7; REPEAT_WINDOW]);

        assert_eq!(sampler.next(vec![1.05, 1.0]).unwrap(), 0);
    }

    #[test]
    fn scores_that_are_no_numbers_are_an_error_and_no_panic() {
        assert!(Sampler::new(Some(1.0)).next(vec![f32::NAN; 50]).is_err());
    }
}
