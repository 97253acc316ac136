//! Completions: a question and its answer, of which nothing is stored but what it used.
//!
//! Unlike a reply a completion belongs to who asked for it: once nobody reads it any more, the
//! model is stopped, and what it used until then is counted.

mod embedding;
mod running;
mod writing;

#[cfg(test)]
pub(crate) mod tests;

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use repartee_domain::replies::{FinishReason, Turn, Usage};
use uuid::Uuid;

pub use self::embedding::{Embedded, NewEmbedding};
use self::{
    running::{Opening, Running},
    writing::written,
};
use crate::{
    Actor, AppError, Permission,
    asking::{Answering, AskPorts, Asker, Streamed},
    budgeting,
    models::{Model, ModelCatalogue},
    ports::{BudgetLedger, ChatRequest, Clock, IdGenerator, PassedThrough, Spawner, TurnBudget},
    replies::{ReplyService, check},
};

/// What a picture costs at the most with the models in use. Tokens, as bytes of a prompt are.
const PICTURE: usize = 2_048;

#[derive(Clone)]
pub struct CompletionService {
    shared: Arc<Shared>,
}

pub struct CompletionPorts {
    pub models: Arc<ModelCatalogue>,
    pub budgets: Arc<dyn BudgetLedger>,
    /// Those that completions share their places with.
    pub replies: ReplyService,
    pub spawner: Arc<dyn Spawner>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
}

#[derive(Debug, Clone)]
pub struct CompletionRules {
    /// How many replies and completions of a user may be written at once, by all processes together.
    pub most_per_user: u32,
    /// Tokens that a user may use in a calendar month (UTC); `None` for any number.
    pub monthly_token_budget: Option<u64>,
}

struct Shared {
    ports: CompletionPorts,
    rules: CompletionRules,
}

/// A question, as it comes in.
#[derive(Debug, Clone, Default)]
pub struct NewCompletion {
    /// The model to ask, by its name here.
    pub model: String,
    /// The texts of the messages.
    pub turns: Vec<Turn>,
    /// How many pictures come with them.
    pub pictures: usize,
    /// 0 to 2.
    pub temperature: Option<f32>,
    /// The longest answer, in tokens.
    pub max_tokens: Option<u32>,
    /// What the client said itself; `None` where nobody did.
    pub passed: Option<PassedThrough>,
    /// Whether it is written beside replies: counted as used, and not among what runs at once.
    pub is_aside: bool,
}

/// An answer that has begun.
pub struct Completion {
    pub id: Uuid,
    /// The model that answers, by its name here.
    pub model: String,
    pub created_at: DateTime<Utc>,
    pub pieces: Pieces,
}

/// Its last piece is [`Piece::Ended`] or an error. Dropping it stops the model.
pub type Pieces = BoxStream<'static, Result<Piece, AppError>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Never empty.
    Text(String),
    /// Further fields of a piece as the provider gave them, a JSON object: `{"tool_calls": […]}`.
    Fields(String),
    Ended {
        reason: FinishReason,
        usage: Usage,
    },
}

impl CompletionService {
    pub fn new(ports: CompletionPorts, rules: CompletionRules) -> Self {
        Self { shared: Arc::new(Shared { ports, rules }) }
    }

    /// Asks a model, and returns when it begins to answer. A caller who goes away before is not
    /// worked for any longer.
    ///
    /// # Errors
    /// Whatever keeps the answer from beginning; what goes wrong later is told by its pieces.
    pub async fn begin(&self, actor: &Actor, wish: NewCompletion) -> Result<Completion, AppError> {
        actor.may(Permission::Chat)?;
        actor.may_name_a_model()?;
        check(Some(&wish.model), wish.temperature, wish.max_tokens)?;
        let Shared { ports, .. } = &*self.shared;
        let room = ports.replies.room()?;
        let models = ports.models.resolve_for(actor, Some(&wish.model)).await?;
        let limit = longest(&models);
        let budget = self.shared.budget(actor, &models, &wish);
        let most_running = (!wish.is_aside).then_some(self.shared.rules.most_per_user);
        let opening = Opening { limit, most_running, budget };
        let (mut running, tokens) = Running::open(&self.shared, actor, room, opening).await?;
        running.bill.prompt = wish.turns.iter().map(|turn| turn.content.clone()).collect();
        let name = wish.model.clone();
        let mut question = Question { wish, most_tokens: budget.reply_within(tokens) };
        let mut asking = Streamed(&mut question);
        let (model, (chunks, first)) = running.ask(&models, &mut asking, &name).await?;
        let (id, created_at) = (running.id(), running.began_at);
        let pieces = written(running, Answering { model: model.clone(), chunks, first });
        Ok(Completion { id, model: model.id, created_at, pieces })
    }
}

impl Shared {
    fn budget(&self, actor: &Actor, models: &[Model], wish: &NewCompletion) -> TurnBudget {
        let bytes = match &wish.passed {
            Some(PassedThrough { messages, fields, .. }) => {
                let fields: usize = fields.iter().map(|(_, value)| value.len()).sum();
                messages.len() + fields + wish.pictures.saturating_mul(PICTURE)
            }
            None => wish.turns.iter().map(|turn| turn.content.len()).sum(),
        };
        let of_user = self.rules.monthly_token_budget;
        budgeting::budget(actor, of_user, models, (wish.turns.len(), bytes), wish.max_tokens)
    }

    fn ask_ports(&self) -> AskPorts<'_> {
        AskPorts { clock: &*self.ports.clock, ids: &*self.ports.ids }
    }
}

/// How long an answer may take in all.
fn longest(models: &[Model]) -> Duration {
    models.first().map(|model| model.limits).unwrap_or_default().total
}

/// What every model is asked.
struct Question {
    wish: NewCompletion,
    /// The longest answer that there are tokens for; `None` where they are not limited.
    most_tokens: Option<u32>,
}

#[async_trait]
impl Asker for Question {
    fn request(&self, model: &Model) -> ChatRequest {
        ChatRequest {
            model: model.upstream.clone(),
            turns: self.wish.turns.clone(),
            temperature: self.wish.temperature,
            max_tokens: model.max_tokens(self.most_tokens.or(self.wish.max_tokens)),
            passed: self.wish.passed.clone().map(Into::into),
        }
    }

    /// Nothing is told before the answer begins.
    fn queued(&mut self, _: u32) {}

    async fn meanwhile(&mut self) -> Infallible {
        pending().await
    }
}
