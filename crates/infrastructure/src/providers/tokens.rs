//! Counting tokens without asking anybody.

use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
};

use moka::sync::Cache;
use repartee_application::ports::ModelError;
use tiktoken_rs::{
    CoreBPE, bpe_for_tokenizer, o200k_base_singleton,
    tokenizer::{Tokenizer, get_tokenizer},
};

/// Texts are counted in pieces of at most so many bytes: the tokenizer's regular expression gives
/// up on longer runs of white space. A cut costs one token at the most.
const PIECE: usize = 16 * 1024;
/// Texts whose count is remembered: every turn counts the messages before it once more.
const REMEMBERED: u64 = 50_000;

static COUNTS: LazyLock<Counts> = LazyLock::new(Counts::default);

/// What was counted, by a hash of the text: 128 bits under keys that nobody knows do not collide.
struct Counts {
    hashers: [RandomState; 2],
    known: Cache<u128, usize>,
}

impl Default for Counts {
    fn default() -> Self {
        Self { hashers: [RandomState::new(), RandomState::new()], known: Cache::new(REMEMBERED) }
    }
}

impl Counts {
    fn key(&self, tokenizer: Tokenizer, text: &str) -> u128 {
        let [high, low] = self.hashers.each_ref().map(|hasher| hasher.hash_one((tokenizer, text)));
        u128::from(high) << 64 | u128::from(low)
    }

    /// Of all texts, or `None` where one of them was never counted.
    fn get(&self, tokenizer: Tokenizer, texts: &[String]) -> Option<Vec<usize>> {
        texts.iter().map(|text| self.known.get(&self.key(tokenizer, text))).collect()
    }

    /// Counts what was never counted.
    fn count(&self, tokenizer: Tokenizer, text: &str) -> usize {
        let key = self.key(tokenizer, text);
        if let Some(count) = self.known.get(&key) {
            return count;
        }
        let bpe = bpe_for_tokenizer(tokenizer).unwrap_or_else(|_| o200k_base_singleton());
        let count = count_text(bpe, text);
        self.known.insert(key, count);
        count
    }
}

/// How many tokens each text has. What is not known yet is counted off the async threads: loading
/// a tokenizer takes a moment, and so do long texts.
///
/// OpenAI's models are counted with their own tokenizer; any other with `o200k_base`, which
/// differs from theirs by some per cent on English, by more on other languages.
pub(super) async fn count(model: &str, texts: Vec<String>) -> Result<Vec<usize>, ModelError> {
    let tokenizer = get_tokenizer(model).unwrap_or(Tokenizer::O200kBase);
    if let Some(counts) = COUNTS.get(tokenizer, &texts) {
        return Ok(counts);
    }
    let counting = tokio::task::spawn_blocking(move || {
        texts.iter().map(|text| COUNTS.count(tokenizer, text)).collect()
    });
    counting.await.map_err(|error| ModelError::Broken(error.into()))
}

fn count_text(tokenizer: &CoreBPE, mut text: &str) -> usize {
    let mut tokens = 0;
    while !text.is_empty() {
        let (piece, rest) = text.split_at(piece_end(text));
        tokens += tokenizer.count_ordinary(piece);
        text = rest;
    }
    tokens
}

/// Where a whole character ends, at [`PIECE`] bytes or just before.
fn piece_end(text: &str) -> usize {
    let latest = text.len().min(PIECE);
    (0..=latest).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn texts_are_counted_each_in_its_place() {
        let texts = vec![String::new(), "hello world".into(), "<|endoftext|>".into()];
        let counts = count("gpt-4o", texts).await.unwrap();
        assert_eq!(counts[..2], [0, 2]);
        assert!(counts[2] > 1, "what a user writes is never a control token");
    }

    #[tokio::test]
    async fn a_model_that_is_not_known_is_counted_like_openais_newest() {
        let text = || vec!["Ключ, naïve, 漢字, 🙂: how many tokens is that?".to_owned()];
        let unknown = count("some-local-model", text()).await.unwrap();
        assert_eq!(unknown, count("gpt-4o", text()).await.unwrap());
        assert_ne!(unknown, count("gpt-4", text()).await.unwrap());
    }

    #[tokio::test]
    async fn long_runs_of_one_character_are_counted_too() {
        let texts = [" ", "a", "\n", "🙂", "é "].map(|unit| unit.repeat(200_000)).to_vec();
        let counts = count("gpt-4o", texts).await.unwrap();
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    }

    #[test]
    fn a_count_is_remembered_for_its_text_and_tokenizer() {
        let counts = Counts::default();
        let texts = ["Ключ к замку", "hello"].map(String::from);
        let counted = texts.each_ref().map(|text| counts.count(Tokenizer::O200kBase, text));

        assert_eq!(counts.get(Tokenizer::O200kBase, &texts), Some(counted.to_vec()));
        assert_eq!(counts.get(Tokenizer::Cl100kBase, &texts), None);
        assert_eq!(counts.get(Tokenizer::O200kBase, &["hello ".into()]), None);
    }
}
