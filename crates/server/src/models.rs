//! Which models there are, from the configuration.

use std::{collections::HashMap, sync::Arc, time::Duration};

use repartee_application::{
    models::{Breaker, Model, ModelCatalogue, TimeLimits},
    ports::{ChatModel, Clock},
};
use repartee_domain::replies::{ContextWindow, Price, RetryPolicy};
use repartee_infrastructure::providers::{OpenAiChatModel, OpenAiSettings};
use repartee_local_models::{LocalChatModel, LocalModelSettings, MODEL_NAME};

use crate::{
    StartError,
    settings::{ModelSettings, OpenAiProvider, ProviderKind, Settings},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// It could take in 4096 tokens, but reads about sixty a second.
const LOCAL_CONTEXT: u32 = 2048;
/// Requests that may wait for the local model.
const LOCAL_QUEUE: usize = 64;

/// The listed models, or the one provider that there is.
pub(crate) fn catalogue(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Result<ModelCatalogue, StartError> {
    let mut providers = Providers { settings, clock, made: HashMap::new() };
    if !settings.models.is_empty() {
        let models = settings.models.iter().map(|model| providers.listed(model));
        return Ok(ModelCatalogue::Listed(models.collect::<Result<_, _>>()?));
    }
    match settings.providers.preferred() {
        ProviderKind::Local => Ok(ModelCatalogue::Listed(vec![providers.local_default()?])),
        kind => Ok(ModelCatalogue::Any(providers.template(kind)?)),
    }
}

struct Providers<'a> {
    settings: &'a Settings,
    clock: &'a Arc<dyn Clock>,
    made: HashMap<&'static str, Provider>,
}

/// Who runs models, and the breaker that all of them share.
#[derive(Clone)]
struct Provider {
    chat: Arc<dyn ChatModel>,
    breaker: Arc<Breaker>,
}

impl Providers<'_> {
    fn get(&mut self, kind: ProviderKind) -> Result<Provider, StartError> {
        let (name, provider) = match kind {
            ProviderKind::OpenAi => ("openai", self.settings.providers.openai.as_ref()),
            ProviderKind::LlmService => {
                ("llm_service", self.settings.providers.llm_service.as_ref())
            }
            ProviderKind::Local => ("local", None),
        };
        if let Some(made) = self.made.get(name) {
            return Ok(made.clone());
        }
        let chat: Arc<dyn ChatModel> = match provider {
            Some(provider) => Arc::new(self.remote(name, provider)?),
            None => Arc::new(LocalChatModel::start(LocalModelSettings {
                concurrency: self.settings.local_model.concurrency,
                queue_limit: LOCAL_QUEUE,
                ..LocalModelSettings::in_folder(&self.settings.models_dir)
            })),
        };
        let made = Provider { chat, breaker: Arc::default() };
        self.made.insert(name, made.clone());
        Ok(made)
    }

    fn remote(&self, name: &str, provider: &OpenAiProvider) -> Result<OpenAiChatModel, StartError> {
        let settings = OpenAiSettings {
            base_url: provider.base_url.clone(),
            api_key: provider.api_key.clone(),
            default_model: provider.model.clone(),
            connect_timeout: CONNECT_TIMEOUT,
        };
        OpenAiChatModel::new(settings, self.clock.clone())
            .map_err(|error| StartError::Settings(format!("providers.{name}: {error}")))
    }

    fn listed(&mut self, model: &ModelSettings) -> Result<Model, StartError> {
        let Provider { chat, breaker } = self.get(model.provider)?;
        Ok(Model {
            id: model.id.clone(),
            provider: chat,
            breaker,
            writes_titles: model.provider != ProviderKind::Local,
            upstream: model.upstream_model.clone(),
            window: ContextWindow {
                context_tokens: model.context_tokens,
                reply_tokens: model.max_output_tokens,
            },
            max_output_tokens: Some(model.max_output_tokens),
            price: Price { input: nano(model.input_price), output: nano(model.output_price) },
            limits: limits(model.time_limits),
            retry: self.retry(),
            fallbacks: model.fallbacks.clone(),
        })
    }

    fn template(&mut self, kind: ProviderKind) -> Result<Model, StartError> {
        let replies = &self.settings.replies;
        let Provider { chat, breaker } = self.get(kind)?;
        Ok(Model {
            id: String::new(),
            provider: chat,
            breaker,
            writes_titles: kind != ProviderKind::Local,
            upstream: String::new(),
            window: ContextWindow {
                context_tokens: replies.context_tokens,
                reply_tokens: replies.max_output_tokens,
            },
            // What an unknown model can do is for its provider to say.
            max_output_tokens: None,
            price: Price::default(),
            limits: limits(replies.time_limits),
            retry: self.retry(),
            fallbacks: Vec::new(),
        })
    }

    fn local_default(&mut self) -> Result<Model, StartError> {
        let template = self.template(ProviderKind::Local)?;
        Ok(Model {
            id: MODEL_NAME.to_owned(),
            upstream: MODEL_NAME.to_owned(),
            window: ContextWindow {
                context_tokens: LOCAL_CONTEXT,
                reply_tokens: self.settings.local_model.max_output_tokens,
            },
            max_output_tokens: Some(self.settings.local_model.max_output_tokens),
            ..template
        })
    }

    fn retry(&self) -> RetryPolicy {
        RetryPolicy { attempts: self.settings.replies.attempts, ..RetryPolicy::default() }
    }
}

fn limits(limits: crate::settings::TimeLimits) -> TimeLimits {
    TimeLimits { first_token: limits.first_token, idle: limits.idle, total: limits.total }
}

/// A price per million tokens in thousandths of a millionth per token. Prices were checked to be
/// finite and not negative; what is beyond four million units is cut there.
fn nano(price: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    let nano = (price * 1000.0).round() as u32;
    nano
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_become_whole_numbers() {
        assert_eq!(nano(0.15), 150);
        assert_eq!(nano(0.0), 0);
        assert_eq!(nano(1e300), u32::MAX);
    }
}
