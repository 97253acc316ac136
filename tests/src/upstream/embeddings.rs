//! A request for vectors, and what it is answered with.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

/// Numbers in a vector where the request says nothing else.
const SIZE: u8 = 4;

#[derive(Debug, Deserialize)]
pub(super) struct Request {
    pub(super) model: String,
    input: Input,
    dimensions: Option<u8>,
    encoding_format: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Texts(Vec<String>),
}

impl Request {
    /// The first number of a vector is how many words its text has, the others are 0.5; a word is a
    /// token.
    pub(super) fn answer(&self) -> Value {
        let texts = match &self.input {
            Input::Text(text) => std::slice::from_ref(text),
            Input::Texts(texts) => texts,
        };
        let words = texts.iter().map(|text| text.split_whitespace().count());
        let data: Vec<_> = words
            .clone()
            .enumerate()
            .map(|(index, words)| {
                json!({"object": "embedding", "index": index, "embedding": self.vector(words)})
            })
            .collect();
        let tokens: usize = words.sum();
        json!({"object": "list", "data": data, "model": self.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})
    }

    fn vector(&self, words: usize) -> Value {
        let first = f32::from(u8::try_from(words).unwrap_or(u8::MAX));
        let rest = usize::from(self.dimensions.unwrap_or(SIZE)).saturating_sub(1);
        let vector: Vec<f32> = [first].into_iter().chain([0.5].repeat(rest)).collect();
        if self.encoding_format.as_deref() == Some("base64") {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            json!(BASE64_STANDARD.encode(bytes))
        } else {
            json!(vector)
        }
    }
}
