//! Which models may be asked for.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use repartee_domain::replies::{ContextWindow, Price};

use super::{Model, ModelCatalogue};
use crate::{Actor, AppError, Permission};

#[derive(Clone)]
pub struct ModelService {
    models: Arc<ModelCatalogue>,
    /// When this server began to offer them.
    since: DateTime<Utc>,
}

/// A model as callers see it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedModel {
    pub id: String,
    pub window: ContextWindow,
    /// The longest reply; `None` leaves it to the provider.
    pub max_output_tokens: Option<u32>,
    pub price: Price,
    /// Asked where none is named.
    pub is_default: bool,
    pub since: DateTime<Utc>,
}

impl ModelService {
    pub fn new(models: Arc<ModelCatalogue>, since: DateTime<Utc>) -> Self {
        Self { models, since }
    }

    /// The models that the actor may ask, the default first.
    ///
    /// # Errors
    /// [`AppError::ModelUnavailable`] where the provider that knows them does not answer.
    pub async fn list(&self, actor: &Actor) -> Result<Vec<ListedModel>, AppError> {
        actor.may(Permission::Read)?;
        let models = self.models.all().await?;
        let listed = models.into_iter().enumerate();
        let listed = listed.map(|(place, model)| self.listed(model, place == 0));
        let is_open =
            |model: &ListedModel| actor.key().is_none_or(|key| key.allows_model(&model.id));
        Ok(listed.filter(is_open).collect())
    }

    /// # Errors
    /// [`AppError::MODEL_NOT_FOUND`] where the actor may not ask it, or there is none; as
    /// [`ModelService::list`] besides.
    pub async fn find(&self, actor: &Actor, id: &str) -> Result<ListedModel, AppError> {
        let mut models = self.list(actor).await?.into_iter();
        models.find(|model| model.id == id).ok_or(AppError::MODEL_NOT_FOUND)
    }

    fn listed(&self, model: Model, is_default: bool) -> ListedModel {
        let Model { id, window, max_output_tokens, price, .. } = model;
        ListedModel { id, window, max_output_tokens, price, is_default, since: self.since }
    }
}

#[cfg(test)]
mod tests {
    use repartee_domain::{ApiKeyId, accounts::ApiKey};
    use uuid::Uuid;

    use super::{
        super::tests::{listed, model},
        *,
    };
    use crate::{
        Credential,
        ports::{MockChatModel, ModelError},
        replies::fixture::{ACTOR, START},
    };

    fn service(models: ModelCatalogue) -> ModelService {
        ModelService::new(Arc::new(models), START)
    }

    fn with_key(scopes: &str, models: Option<&[&str]>) -> Actor {
        let key = ApiKey {
            id: ApiKeyId::from_uuid(Uuid::from_u128(2)),
            owner: ACTOR.user,
            name: "a script".into(),
            prefix: "rpt_12345678".into(),
            scopes: scopes.parse().unwrap(),
            models: models.map(|models| models.iter().map(|&id| id.to_owned()).collect()),
            requests_per_minute: None,
            monthly_token_budget: None,
            last_used_at: None,
            expires_at: None,
            revoked_at: None,
            created_at: START,
        };
        Actor { credential: Credential::Key(Arc::new(key)), ..ACTOR }
    }

    async fn ids(actor: &Actor) -> Vec<(String, bool)> {
        let models = service(listed()).list(actor).await.unwrap();
        models.into_iter().map(|model| (model.id, model.is_default)).collect()
    }

    #[tokio::test]
    async fn the_listed_models_are_told_in_their_order_and_the_first_is_the_default() {
        assert_eq!(ids(&ACTOR).await, [("big".to_owned(), true), ("small".to_owned(), false)]);
        let found = service(listed()).find(&ACTOR, "small").await.unwrap();
        assert_eq!((found.window.context_tokens, found.since), (100, START));
    }

    #[tokio::test]
    async fn a_key_sees_the_models_that_it_may_ask() {
        let key = with_key("chat", Some(&["small"]));
        assert_eq!(ids(&key).await, [("small".to_owned(), false)]);
        let hidden = service(listed()).find(&key, "big").await.unwrap_err();
        assert_eq!(hidden.classify().1, "model_not_found");
        assert_eq!(ids(&with_key("read", None)).await.len(), 2);
        let refused = service(listed()).list(&with_key("files", None)).await.unwrap_err();
        assert_eq!(refused.classify().1, "insufficient_scope");
    }

    #[tokio::test]
    async fn without_a_list_the_provider_says_what_there_is() {
        let mut provider = MockChatModel::new();
        provider.expect_models().once().returning(|| Ok(vec!["one".into(), "two".into()]));
        provider.expect_models().returning(|| Err(ModelError::RateLimited { retry_after: None }));
        let service = service(ModelCatalogue::Any(model("", &[], provider)));

        let models = service.list(&ACTOR).await.unwrap();

        let ids: Vec<_> =
            models.iter().map(|model| (model.id.as_str(), model.is_default)).collect();
        assert_eq!(ids, [("one", true), ("two", false)]);
        let away = service.find(&ACTOR, "one").await.unwrap_err();
        assert_eq!(away.classify().1, "model_unavailable");
    }
}
