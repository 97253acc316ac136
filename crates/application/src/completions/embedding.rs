//! Texts put into vectors, by whoever does so: nothing of them is understood or kept here.

use std::{convert::Infallible, future::pending, sync::Arc};

use async_trait::async_trait;
use repartee_domain::replies::Usage;
use tokio::time::timeout;

use super::{
    CompletionService, longest,
    running::{Opening, Running},
};
use crate::{
    Actor, AppError, Permission,
    asking::{Attempt, Refusal},
    budgeting,
    models::Model,
    ports::{EmbeddingRequest, Embeddings},
    replies::check,
};

/// What is to be put into vectors, as it comes in.
#[derive(Debug, Clone, Default)]
pub struct NewEmbedding {
    /// The model to ask, by its name here.
    pub model: String,
    /// What there is of it as text, for counting.
    pub texts: Vec<String>,
    /// How many tokens come as such.
    pub tokens: u32,
    /// What the client said itself: fields and their values in JSON.
    pub fields: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// The model that answered, by its name here.
    pub model: String,
    /// The list of vectors in JSON, as the provider gave it.
    pub data: String,
    pub usage: Usage,
}

impl CompletionService {
    /// Has texts put into vectors. A caller who goes away is not worked for any longer. Fallbacks are
    /// not asked: vectors of two models have nothing to do with one another.
    pub async fn embed(&self, actor: &Actor, wish: NewEmbedding) -> Result<Embedded, AppError> {
        actor.may(Permission::Chat)?;
        actor.may_name_a_model()?;
        check(Some(&wish.model), None, None)?;
        let ports = &self.shared.ports;
        let room = ports.replies.room()?;
        let mut models = ports.models.resolve_for(actor, Some(&wish.model)).await?;
        models.truncate(1);
        for model in &mut models {
            // Who makes no vectors may write all the same: that is none of the replies' business.
            model.breaker = Arc::default();
        }
        let bytes = wish.fields.iter().map(|(_, value)| value.len()).sum();
        let of_user = self.shared.rules.monthly_token_budget;
        let budget = budgeting::budget(actor, of_user, &models, (0, bytes), Some(0));
        let most_running = Some(self.shared.rules.most_per_user);
        let opening = Opening { limit: longest(&models), most_running, budget };
        let (mut running, _) = Running::open(&self.shared, actor, room, opening).await?;
        running.bill.prompt = wish.texts;
        running.bill.tokens = wish.tokens;
        let mut question = Question { fields: wish.fields };
        let (model, answer) = running.ask(&models, &mut question, &wish.model).await?;
        running.bill.usage = answer.prompt_tokens.map(|prompt_tokens| Usage {
            prompt_tokens,
            completion_tokens: 0,
            estimated: false,
        });
        let usage = running.settle(true).await;
        Ok(Embedded { model: model.id, data: answer.data, usage })
    }
}

struct Question {
    fields: Vec<(&'static str, String)>,
}

#[async_trait]
impl Attempt for Question {
    type Answer = Embeddings;

    async fn once(&mut self, model: &Model, _: &mut bool) -> Result<Embeddings, Refusal> {
        let request =
            EmbeddingRequest { model: model.upstream.clone(), fields: self.fields.clone() };
        // All of it comes at once.
        let answer = timeout(model.limits.first_token, model.provider.embed(request)).await;
        answer.map_err(|_| Refusal::TimedOut)?.map_err(Refusal::Error)
    }

    async fn meanwhile(&mut self) -> Infallible {
        pending().await
    }
}
