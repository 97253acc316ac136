//! Counting tokens without asking anybody.

use repartee_application::ports::ModelError;
use tiktoken_rs::{CoreBPE, bpe_for_model, o200k_base_singleton};

/// Texts are counted in pieces of at most so many bytes: the tokenizer's regular expression gives
/// up on longer runs of white space. A cut costs one token at the most.
const PIECE: usize = 16 * 1024;

/// How many tokens each text has, counted off the async threads: loading a tokenizer takes a
/// moment, and so do long texts.
///
/// OpenAI's models are counted with their own tokenizer; any other with `o200k_base`, which
/// differs from theirs by some per cent on English, by more on other languages.
pub(super) async fn count(model: &str, texts: Vec<String>) -> Result<Vec<usize>, ModelError> {
    let model = model.to_owned();
    let counting = tokio::task::spawn_blocking(move || {
        let tokenizer = bpe_for_model(&model).unwrap_or_else(|_| o200k_base_singleton());
        texts.iter().map(|text| count_text(tokenizer, text)).collect()
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
}
