//! A model that does whatever its seed says.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use repartee_application::ports::{
    ChatChunk, ChatModel, ChatRequest, ChatStream, EmbeddingRequest, Embeddings, ModelError,
    ModelStatus,
};
use repartee_domain::replies::FinishReason;
use tokio::time::sleep;

use super::{Random, world::World};

pub(crate) struct SeededModel {
    pub(crate) random: Mutex<Random>,
    pub(crate) world: Arc<World>,
}

#[async_trait]
impl ChatModel for SeededModel {
    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, ModelError> {
        self.world.state().check_prompt(&request.turns);
        let mut random = self.random.lock().unwrap().fork();
        match random.below(12) {
            0 => return Err(ModelError::Unavailable { retry_after: None, source: "away".into() }),
            1 => return Err(ModelError::Rejected { reason: "no".into() }),
            _ => {}
        }
        let words = random.below(12);
        let ending = random.below(10);
        let pace = [0, 3, 40, 400, 4_000][usize::try_from(random.below(5)).unwrap()];
        let text = stream::unfold((random, 0), move |(mut random, word)| async move {
            if word == words {
                return None;
            }
            sleep(Duration::from_millis(random.below(pace + 1))).await;
            Some((Ok(ChatChunk::Text(format!("w{word} "))), (random, word + 1)))
        });
        let end = stream::once(async move {
            match ending {
                0 => Err(ModelError::Broken("cut".into())),
                1 => std::future::pending().await,
                _ => Ok(ChatChunk::Finished(FinishReason::Stop)),
            }
        });
        Ok(text.chain(end).boxed())
    }

    async fn embed(&self, _: EmbeddingRequest) -> Result<Embeddings, ModelError> {
        Err(ModelError::NoEmbeddings)
    }

    async fn count_tokens(&self, _: &str, texts: Vec<String>) -> Result<Vec<usize>, ModelError> {
        Ok(texts.iter().map(|text| text.split_whitespace().count()).collect())
    }

    async fn models(&self) -> Result<Vec<String>, ModelError> {
        Ok(vec!["seeded".into()])
    }

    fn status(&self) -> ModelStatus {
        ModelStatus::Ready
    }
}
