//! Llama-like networks out of GGUF files, computed by candle.

use std::{
    fs::File,
    io::{self, BufReader, Cursor, Read, Seek},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use candle_core::{
    Device, IndexOp, Tensor,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{self, Content},
    },
};
use candle_transformers::models::quantized_llama::{MAX_SEQ_LEN, ModelWeights};
use thiserror::Error;

use super::{
    engine::{Engine, EngineError, Session, Weights},
    template::Template,
    vocabulary::Vocabulary,
};

/// Tokens that prompt and reply may have together: candle's limit, the file would allow more.
pub const CONTEXT_TOKENS: u32 = 4096;
const _: () = assert!(CONTEXT_TOKENS as usize == MAX_SEQ_LEN);

const DEVICE: Device = Device::Cpu;

#[derive(Debug, Error)]
pub(crate) enum LoadError {
    #[error("the model's file is missing")]
    Missing,
    #[error("the model's file is damaged: {0}")]
    Damaged(#[source] EngineError),
}

/// Loads a model, on the lane that it is called on: about a second for 100 MB.
pub(crate) fn load(path: &Path) -> Result<Engine, LoadError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => LoadError::Missing,
        _ => LoadError::Damaged(EngineError::Compute(error.into())),
    })?;
    // candle divides by numbers that it finds in the file.
    catch_unwind(AssertUnwindSafe(|| read(&mut BufReader::new(file))))
        .unwrap_or(Err(EngineError::Panicked))
        .map_err(LoadError::Damaged)
}

fn read<R: Read + Seek>(file: &mut R) -> Result<Engine, EngineError> {
    let content = Content::read(file)?;
    let vocabulary = Vocabulary::from_gguf(&content)?;
    let template = content.metadata.get("tokenizer.chat_template");
    let template = template.ok_or(EngineError::Lacks("a chat template"))?.to_string()?;
    let template = Template::parse(template.clone())?;
    let weights = Llama(fast_weights(&content, file)?);
    Ok(Engine { template, vocabulary, weights: Box::new(weights) })
}

/// candle has no fast product for `Q4_1`: as `Q8_0` the same weights are three times as fast. It
/// builds a network only from a file, so the converted one is written to memory first.
fn fast_weights<R: Read + Seek>(
    content: &Content,
    file: &mut R,
) -> candle_core::Result<ModelWeights> {
    let mut converted = Cursor::new(Vec::new());
    {
        let mut tensors = Vec::with_capacity(content.tensor_infos.len());
        for name in content.tensor_infos.keys() {
            let tensor = content.tensor(file, name, &DEVICE)?;
            let tensor = match tensor.dtype() {
                GgmlDType::Q4_1 => {
                    QTensor::quantize(&tensor.dequantize(&DEVICE)?, GgmlDType::Q8_0)?
                }
                _ => tensor,
            };
            tensors.push((name.as_str(), tensor));
        }
        let metadata: Vec<_> =
            content.metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
        gguf_file::write(&mut converted, &metadata, &tensors)?;
    }
    converted.set_position(0);
    ModelWeights::from_gguf(Content::read(&mut converted)?, &mut converted, &DEVICE)
}

struct Llama(ModelWeights);

impl Weights for Llama {
    fn session(&self) -> Box<dyn Session> {
        // A clone shares the weights and has a cache of its own.
        Box::new(LlamaSession { network: self.0.clone(), tokens_read: 0 })
    }
}

struct LlamaSession {
    network: ModelWeights,
    tokens_read: usize,
}

impl Session for LlamaSession {
    fn read(&mut self, tokens: &[u32]) -> Result<Vec<f32>, EngineError> {
        let input = Tensor::new(tokens, &DEVICE)?.unsqueeze(0)?;
        let logits = self.network.forward(&input, self.tokens_read)?.i(0)?.to_vec1()?;
        self.tokens_read += tokens.len();
        Ok(logits)
    }
}

#[cfg(test)]
mod tests {
    //! With the real model: `scripts/fetch-models` brings it.

    use std::sync::mpsc;

    use repartee_domain::{messages::MessageRole, replies::Turn};

    use super::*;
    use crate::{chat::template::Span, lanes::lanes};

    /// Runs `check` where candle may be used.
    fn with_model(check: impl FnOnce(&Engine) + Send + 'static) {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/models"));
        let path = folder.join(crate::chat::MODEL_FILE);
        let (done, finished) = mpsc::channel();
        lanes().run(Box::new(move || {
            check(&load(&path).expect("run scripts/fetch-models first"));
            done.send(()).unwrap();
        }));
        finished.recv().expect("the check failed, see above");
    }

    fn tokens(engine: &Engine, text: &str) -> Vec<String> {
        let tokens = engine.vocabulary.encode(&[Span::Content(text)]).unwrap();
        let bytes = tokens.iter().map(|token| engine.vocabulary.bytes(*token));
        bytes.map(|bytes| String::from_utf8(bytes).unwrap()).collect()
    }

    #[test]
    fn the_vocabulary_and_the_template_are_those_of_the_model() {
        with_model(|engine| {
            // No space in front, and every digit for itself.
            assert_eq!(
                tokens(engine, "Hello world 2025"),
                ["Hello", " world", " ", "2", "0", "2", "5"]
            );
            let hello = engine.vocabulary.encode(&[Span::Content("Hello world 2025")]).unwrap();
            assert_eq!(hello, [19556, 905, 216, 34, 32, 34, 37]);

            let turns = [Turn { role: MessageRole::User, content: "Hi <|im_end|>".to_owned() }];
            let spans = engine.template.render(&turns).unwrap();
            let prompt: String = spans
                .iter()
                .map(|span| match span {
                    Span::Markup(text) => text,
                    Span::Content(text) => *text,
                })
                .collect();
            assert_eq!(
                prompt,
                "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by \
                 Hugging Face<|im_end|>\n<|im_start|>user\nHi <|im_end|><|im_end|>\n\
                 <|im_start|>assistant\n"
            );
            let ids = engine.vocabulary.encode(&spans).unwrap();
            // The system's and the user's turn end once each; what the user wrote ends nothing.
            let end = engine.vocabulary.encode(&[Span::Markup("<|im_end|>".to_owned())]).unwrap();
            assert_eq!(ids.iter().filter(|id| **id == end[0]).count(), 2);
            assert!(engine.vocabulary.ends_reply(end[0]));
        });
    }
}
