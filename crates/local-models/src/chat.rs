//! The model that a fresh checkout chats with.

mod engine;
mod llama;
mod queue;
mod reply;
mod sampler;
mod template;
mod text;
mod vocabulary;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use repartee_application::ports::{
    ChatModel, ChatRequest, ChatStream, EmbeddingRequest, Embeddings, ModelError, ModelStatus,
    PassedThrough,
};
use repartee_domain::{messages::MessageRole, replies::Turn};
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
};

pub use llama::CONTEXT_TOKENS;

use crate::lanes::{Job, lanes};
use engine::{Engine, EngineError};
use llama::LoadError;
use queue::Queue;
use reply::{Assignment, CHUNKS_AHEAD, Outcome};

/// The only model there is.
pub const MODEL_NAME: &str = "SmolLM2-135M-Instruct";

/// Where it lies in the folder of the models.
pub(crate) const MODEL_FILE: &str = "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";

/// Tokens of a reply, when the request sets no limit: a small model that has not come to an end
/// by then never will.
const DEFAULT_REPLY_TOKENS: u32 = 1024;

/// Where the conversation brings none. With the one in the model's own template it names neither
/// the capital of France nor the author of Hamlet.
const SYSTEM_MESSAGE: &str = "You are a helpful AI assistant. Answer in short, clear sentences.";

/// About as long as a reply takes.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Texts up to so many bytes are cut into tokens faster than another thread is woken up.
const INLINE_BYTES: usize = 2048;

#[derive(Debug, Clone)]
pub struct LocalModelSettings {
    /// The GGUF file.
    pub path: PathBuf,
    /// Replies that are written at once; never more than there are cores to spare.
    pub concurrency: usize,
    /// Requests that may wait; the next is refused.
    pub queue_limit: usize,
}

impl LocalModelSettings {
    /// The default model in the folder that [`fetch_models`](crate::fetch_models) fills.
    pub fn in_folder(models_dir: &Path) -> Self {
        Self { path: models_dir.join(MODEL_FILE), concurrency: 2, queue_limit: 64 }
    }
}

/// A small language model that runs in this process.
pub struct LocalChatModel {
    queue: Queue,
    loading: watch::Receiver<Loading>,
    /// Whether the last reply broke off.
    failing: Arc<AtomicBool>,
}

enum Loading {
    UnderWay,
    Loaded(Arc<Engine>),
    Failed(LoadError),
}

impl LocalChatModel {
    /// Returns at once; the model is loaded meanwhile, and requests wait for it. A file that is
    /// missing or damaged is logged and makes the model unavailable.
    pub fn start(settings: LocalModelSettings) -> Self {
        let LocalModelSettings { path, concurrency, queue_limit } = settings;
        let lanes = lanes();
        let at_once = concurrency.clamp(1, lanes.count());
        Self::start_with(at_once, queue_limit, |job| lanes.run(job), move || load(&path))
    }

    /// `run` runs a job on some thread.
    fn start_with(
        at_once: usize,
        queue_limit: usize,
        run: impl Fn(Job) + Send + Sync + 'static,
        load: impl FnOnce() -> Result<Engine, LoadError> + Send + 'static,
    ) -> Self {
        let (loaded, loading) = watch::channel(Loading::UnderWay);
        run(Box::new(move || {
            let outcome = match load() {
                Ok(engine) => {
                    tracing::info!(model = MODEL_NAME, at_once, "the local model is ready");
                    Loading::Loaded(Arc::new(engine))
                }
                Err(error) => Loading::Failed(error),
            };
            loaded.send_replace(outcome);
        }));
        Self { queue: Queue::new(at_once, queue_limit, run), loading, failing: Arc::default() }
    }

    /// The model, once it is loaded.
    async fn engine(&self) -> Result<Arc<Engine>, ModelError> {
        let mut loading = self.loading.clone();
        let over = loading.wait_for(|state| !matches!(state, Loading::UnderWay)).await;
        match over.as_deref() {
            Ok(Loading::Loaded(engine)) => Ok(Arc::clone(engine)),
            Ok(Loading::Failed(error)) => {
                Err(ModelError::NotInstalled { reason: error.to_string() })
            }
            Ok(Loading::UnderWay) | Err(_) => {
                Err(ModelError::NotInstalled { reason: "no thread loads the model".to_owned() })
            }
        }
    }
}

#[async_trait]
impl ChatModel for LocalChatModel {
    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, ModelError> {
        check_name(&request.model)?;
        if let Some(passed) = &request.passed {
            check_passed(passed)?;
        }
        let engine = self.engine().await?;
        let bytes = request.turns.iter().map(|turn| turn.content.len()).sum();
        let assignment = off_the_runtime(bytes, {
            let engine = Arc::clone(&engine);
            move || assign(&engine, request)
        })
        .await?;
        let (out, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let failing = Arc::clone(&self.failing);
        let work = move || match reply::write(&engine, &assignment, &out) {
            Outcome::Finished => failing.store(false, Ordering::Relaxed),
            Outcome::Broken => failing.store(true, Ordering::Relaxed),
            Outcome::Abandoned => {}
        };
        let place = self.queue.enter(Box::new(work)).map_err(|full| ModelError::Unavailable {
            retry_after: Some(RETRY_AFTER),
            source: full.into(),
        })?;
        Ok(reply::read(place, chunks))
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings, ModelError> {
        check_name(&request.model)?;
        Err(ModelError::NoEmbeddings)
    }

    async fn count_tokens(
        &self,
        model: &str,
        texts: Vec<String>,
    ) -> Result<Vec<usize>, ModelError> {
        check_name(model)?;
        let engine = self.engine().await?;
        let bytes = texts.iter().map(String::len).sum();
        off_the_runtime(bytes, move || {
            let counts = texts.iter().map(|text| engine.vocabulary.count(text));
            counts.collect::<Result<_, _>>().map_err(broken)
        })
        .await
    }

    async fn models(&self) -> Result<Vec<String>, ModelError> {
        Ok(vec![MODEL_NAME.to_owned()])
    }

    fn status(&self) -> ModelStatus {
        match &*self.loading.borrow() {
            Loading::Loaded(_) if self.failing.load(Ordering::Relaxed) => ModelStatus::Degraded,
            Loading::Loaded(_) => ModelStatus::Ready,
            Loading::Failed(_) => ModelStatus::Unavailable,
            Loading::UnderWay if self.loading.has_changed().is_err() => ModelStatus::Unavailable,
            Loading::UnderWay => ModelStatus::Degraded,
        }
    }
}

fn load(path: &Path) -> Result<Engine, LoadError> {
    llama::load(path).inspect_err(|error| {
        tracing::error!(
            path = %path.display(),
            "{error}: run `repartee fetch-models` (in a checkout: scripts/fetch-models), \
             then start again"
        );
    })
}

fn check_name(model: &str) -> Result<(), ModelError> {
    if model == MODEL_NAME {
        return Ok(());
    }
    Err(ModelError::Rejected { reason: format!("the local model is {MODEL_NAME}") })
}

/// Refuses what it has no use for: an answer that leaves it out would be another one.
fn check_passed(passed: &PassedThrough) -> Result<(), ModelError> {
    // Who asks changes nothing of the answer.
    let mut fields = passed.fields.iter().map(|(name, _)| *name).filter(|name| *name != "user");
    let refused = fields.next().or(passed.has_more_than_text.then_some("messages"));
    refused.map_or(Ok(()), |parameter| Err(ModelError::Unsupported { parameter }))
}

/// Cuts the conversation into tokens and sees that there is room for a reply.
fn assign(engine: &Engine, mut request: ChatRequest) -> Result<Assignment, ModelError> {
    if request.turns.first().is_some_and(|first| first.role != MessageRole::System) {
        let content = SYSTEM_MESSAGE.to_owned();
        request.turns.insert(0, Turn { role: MessageRole::System, content });
    }
    let spans = engine.template.render(&request.turns).map_err(|error| match error {
        // It refuses conversations of a shape that it does not know, an empty one for instance.
        EngineError::Template(_) => ModelError::Rejected {
            reason: "the model's chat template does not take this conversation".to_owned(),
        },
        error => broken(error),
    })?;
    let prompt = engine.vocabulary.encode(&spans).map_err(broken)?;
    let taken = u32::try_from(prompt.len()).unwrap_or(u32::MAX);
    let room = CONTEXT_TOKENS.saturating_sub(taken);
    if prompt.is_empty() || room == 0 {
        return Err(ModelError::Rejected {
            reason: format!(
                "the conversation has {taken} tokens, the model takes 1 to {} and its reply",
                CONTEXT_TOKENS - 1
            ),
        });
    }
    let limit = request.max_tokens.unwrap_or(DEFAULT_REPLY_TOKENS).min(room);
    Ok(Assignment { prompt, temperature: request.temperature, limit })
}

/// Long texts take a while: that must not hold up an async thread.
async fn off_the_runtime<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, ModelError> + Send + 'static,
) -> Result<T, ModelError> {
    if bytes <= INLINE_BYTES {
        return work();
    }
    spawn_blocking(work).await.unwrap_or_else(|error| Err(ModelError::Broken(error.into())))
}

fn broken(error: EngineError) -> ModelError {
    ModelError::Broken(error.into())
}

#[cfg(test)]
mod tests;
