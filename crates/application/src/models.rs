//! The models that can be asked, by the names that this server gives them.

mod counting;
mod listing;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use repartee_domain::replies::{Circuit, CircuitRules, ContextWindow, Price, RetryPolicy};

pub use self::listing::{ListedModel, ModelService};
use crate::{
    Actor, AppError,
    ports::{ChatModel, ModelStatus},
};

/// A model, who runs it, and how it is asked.
#[derive(Clone)]
pub struct Model {
    /// Its name here.
    pub id: String,
    pub provider: Arc<dyn ChatModel>,
    /// Its name at the provider.
    pub upstream: String,
    pub window: ContextWindow,
    /// The longest reply that is asked for; `None` leaves it to the provider.
    pub max_output_tokens: Option<u32>,
    pub price: Price,
    pub limits: TimeLimits,
    pub retry: RetryPolicy,
    /// The models to ask when this one fails before its first token, in order.
    pub fallbacks: Vec<String>,
    /// Whether it is good enough to write titles.
    pub writes_titles: bool,
    /// Shared by all models of the provider.
    pub breaker: Arc<Breaker>,
}

/// Keeps a dead provider from costing every turn its time-outs.
pub struct Breaker(Mutex<Circuit>);

impl Breaker {
    pub fn new(rules: CircuitRules) -> Self {
        Self(Mutex::new(Circuit::new(rules)))
    }

    /// Whether a turn may ask the provider now.
    pub fn admit(&self, now: DateTime<Utc>) -> bool {
        self.circuit().admit(now)
    }

    /// A turn has begun to be answered: others need not wait for its end.
    pub fn answers(&self) {
        self.circuit().answers();
    }

    /// A turn that asked it was stopped before it was answered.
    pub fn abandoned(&self, now: DateTime<Utc>) {
        self.circuit().abandoned(now);
    }

    /// What became of a turn that asked it.
    pub fn record(&self, has_answered: bool, now: DateTime<Utc>) {
        let mut circuit = self.circuit();
        let was_open = circuit.is_open(now);
        if has_answered {
            circuit.succeeded(now);
        } else {
            circuit.failed(now);
        }
        if !was_open && circuit.is_open(now) {
            tracing::error!("too many turns failed: the provider is not asked for a while");
        }
    }

    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.circuit().is_open(now)
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new(CircuitRules::default())
    }
}

impl Model {
    /// Another one of the same provider.
    fn named(&self, name: String) -> Self {
        Self { upstream: name.clone(), id: name, ..self.clone() }
    }

    fn status(&self, now: DateTime<Utc>) -> ModelStatus {
        if self.breaker.is_open(now) { ModelStatus::Unavailable } else { self.provider.status() }
    }
}

/// How long a model may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimits {
    /// From asking to the first piece of text.
    pub first_token: Duration,
    /// From one piece of text to the next.
    pub idle: Duration,
    /// From asking first to the end.
    pub total: Duration,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            first_token: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            total: Duration::from_mins(10),
        }
    }
}

/// Which models there are.
pub enum ModelCatalogue {
    /// The configuration lists them. The first is the default.
    Listed(Vec<Model>),
    /// One provider, which is passed any name; its own default where there is none.
    Any(Model),
}

impl ModelCatalogue {
    /// The models to ask, in order: the one that is named (or the default), then its fallbacks.
    pub async fn resolve(&self, name: Option<&str>) -> Result<Vec<Model>, AppError> {
        match self {
            Self::Listed(models) => {
                let by_id: HashMap<_, _> = models.iter().map(|m| (m.id.as_str(), m)).collect();
                let first = match name {
                    Some(name) => by_id.get(name).copied(),
                    None => models.first(),
                };
                let Some(first) = first else {
                    return Err(AppError::UnknownModel(name.unwrap_or_default().to_owned()));
                };
                let fallbacks = first.fallbacks.iter().filter_map(|id| by_id.get(id.as_str()));
                Ok([first].into_iter().chain(fallbacks.copied()).cloned().collect())
            }
            Self::Any(template) => {
                let id = match name {
                    Some(name) => name.to_owned(),
                    None => default_of(template.provider.as_ref()).await?,
                };
                Ok(vec![template.named(id)])
            }
        }
    }

    /// As [`ModelCatalogue::resolve`], as far as the actor's key may ask them.
    pub async fn resolve_for(
        &self,
        actor: &Actor,
        name: Option<&str>,
    ) -> Result<Vec<Model>, AppError> {
        let mut models = self.resolve(name).await?;
        if let Some(key) = actor.key() {
            if let Some(first) = models.first().filter(|first| !key.allows_model(&first.id)) {
                return Err(AppError::ModelNotAllowed(first.id.clone()));
            }
            models.retain(|model| key.allows_model(&model.id));
        }
        Ok(models)
    }

    /// All of them, the default first.
    async fn all(&self) -> Result<Vec<Model>, AppError> {
        match self {
            Self::Listed(models) => Ok(models.clone()),
            Self::Any(template) => {
                let names = names_of(template.provider.as_ref()).await?;
                Ok(names.into_iter().map(|name| template.named(name)).collect())
            }
        }
    }

    /// The worst of what is known of the providers that are asked first.
    pub fn status(&self, now: DateTime<Utc>) -> ModelStatus {
        match self {
            Self::Any(model) => model.status(now),
            Self::Listed(models) => {
                let mut statuses = models.iter().map(|model| model.status(now));
                let is_ready = |status: ModelStatus| status == ModelStatus::Ready;
                match (
                    statuses.clone().all(is_ready),
                    statuses.any(|s| s != ModelStatus::Unavailable),
                ) {
                    (true, _) => ModelStatus::Ready,
                    (false, true) => ModelStatus::Degraded,
                    (false, false) => ModelStatus::Unavailable,
                }
            }
        }
    }
}

async fn default_of(provider: &dyn ChatModel) -> Result<String, AppError> {
    names_of(provider).await?.into_iter().next().ok_or_else(|| {
        AppError::ModelUnavailable("the provider lists no model: name one".to_owned())
    })
}

async fn names_of(provider: &dyn ChatModel) -> Result<Vec<String>, AppError> {
    provider.models().await.map_err(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "cannot list the models");
        AppError::ModelUnavailable("the provider does not answer".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{
        MockChatModel, ModelError,
        ModelStatus::{Degraded, Ready, Unavailable},
    };

    pub(super) fn model(id: &str, fallbacks: &[&str], provider: MockChatModel) -> Model {
        Model {
            id: id.into(),
            provider: Arc::new(provider),
            upstream: format!("{id}-upstream"),
            window: ContextWindow { context_tokens: 100, reply_tokens: 10 },
            max_output_tokens: None,
            price: Price::default(),
            limits: TimeLimits::default(),
            retry: RetryPolicy::default(),
            fallbacks: fallbacks.iter().map(|&id| id.to_owned()).collect(),
            writes_titles: true,
            breaker: Arc::default(),
        }
    }

    pub(super) fn listed() -> ModelCatalogue {
        ModelCatalogue::Listed(vec![
            model("big", &["small"], MockChatModel::new()),
            model("small", &[], MockChatModel::new()),
        ])
    }

    async fn ids(catalogue: ModelCatalogue, name: Option<&str>) -> Vec<String> {
        let models = catalogue.resolve(name).await.unwrap();
        models.into_iter().map(|model| model.id).collect()
    }

    #[tokio::test]
    async fn a_listed_model_comes_with_its_fallbacks_and_the_first_is_the_default() {
        assert_eq!(ids(listed(), Some("small")).await, ["small"]);
        assert_eq!(ids(listed(), None).await, ["big", "small"]);
    }

    #[tokio::test]
    async fn an_unlisted_model_is_refused() {
        let error = listed().resolve(Some("huge")).await.err().unwrap();
        assert_eq!(error.classify().1, "model_unknown");
    }

    #[tokio::test]
    async fn without_a_list_any_name_is_passed_on() {
        let catalogue = ModelCatalogue::Any(model("", &[], MockChatModel::new()));
        let models = catalogue.resolve(Some("anything")).await.unwrap();
        assert_eq!((models[0].id.as_str(), models[0].upstream.as_str()), ("anything", "anything"));
    }

    #[tokio::test]
    async fn without_a_name_the_providers_first_model_is_asked() {
        let mut provider = MockChatModel::new();
        provider.expect_models().returning(|| Ok(vec!["first".into(), "second".into()]));
        assert_eq!(ids(ModelCatalogue::Any(model("", &[], provider)), None).await, ["first"]);
    }

    #[tokio::test]
    async fn a_provider_that_does_not_answer_is_told() {
        let mut provider = MockChatModel::new();
        provider.expect_models().returning(|| Err(ModelError::RateLimited { retry_after: None }));
        let catalogue = ModelCatalogue::Any(model("", &[], provider));
        let error = catalogue.resolve(None).await.err().unwrap();
        assert_eq!(error.classify().1, "model_unavailable");
    }

    #[test]
    fn one_provider_that_is_away_only_degrades() {
        let with = |status| {
            let mut provider = MockChatModel::new();
            provider.expect_status().return_const(status);
            model("m", &[], provider)
        };
        for (statuses, expected) in [
            ([Ready, Ready], Ready),
            ([Ready, Unavailable], Degraded),
            ([Unavailable, Unavailable], Unavailable),
        ] {
            let catalogue = ModelCatalogue::Listed(statuses.map(with).into());
            assert_eq!(catalogue.status(DateTime::UNIX_EPOCH), expected);
        }
    }
}
