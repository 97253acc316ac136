//! The models that may be asked for.

use std::time::Duration;

use toml::{Table, Value};

use super::SettingsError;
use super::layers::impossible;
use super::providers::{ProviderKind, ProviderSettings};
use super::reader::Reader;
use super::replies::{ReplySettings, TimeLimits};

const KEY: &str = "models";
const FIELDS: [&str; 11] = [
    "id",
    "provider",
    "upstream_model",
    "context_tokens",
    "max_output_tokens",
    "input_price",
    "output_price",
    "fallbacks",
    "first_token_seconds",
    "idle_seconds",
    "total_seconds",
];
const PROVIDERS: [(&str, ProviderKind); 3] = [
    ("openai", ProviderKind::OpenAi),
    ("llm_service", ProviderKind::LlmService),
    ("local", ProviderKind::Local),
];
pub(super) const MAX_TOKENS: i64 = 100_000_000;

#[derive(Debug, Clone, PartialEq)]
pub struct ModelSettings {
    /// What callers ask for.
    pub id: String,
    pub provider: ProviderKind,
    /// The provider's own name of it.
    pub upstream_model: String,
    /// Prompt and reply together.
    pub context_tokens: u32,
    /// Less than `context_tokens`.
    pub max_output_tokens: u32,
    /// Of a million tokens, in whatever currency the operator counts.
    pub input_price: f64,
    pub output_price: f64,
    /// Ids of others in the list, none of them its own.
    pub fallbacks: Vec<String>,
    pub time_limits: TimeLimits,
}

/// All models in their order; the first is the default.
pub(super) fn read(
    reader: Reader<'_>,
    providers: &ProviderSettings,
    replies: &ReplySettings,
) -> Result<Vec<ModelSettings>, SettingsError> {
    let entry = reader.layers.entry(KEY);
    let tables = entry.value.as_array().into_iter().flatten().filter_map(Value::as_table);
    let rows: Vec<Row<'_>> = tables
        .enumerate()
        .map(|(index, table)| Row { index, table, origin: &entry.origin })
        .collect();
    let models: Vec<_> =
        rows.iter().map(|row| row.model(providers, replies)).collect::<Result<_, _>>()?;
    for (row, model) in rows.iter().zip(&models) {
        let before = &models[..row.index];
        if before.iter().any(|other| other.id == model.id) {
            return Err(row.impossible("id", "stands twice in the list"));
        }
        for fallback in &model.fallbacks {
            if *fallback == model.id {
                return Err(row.impossible("fallbacks", "names the model itself"));
            }
            if !models.iter().any(|other| other.id == *fallback) {
                let reason = format!("there is no model {fallback:?} in the list");
                return Err(row.impossible("fallbacks", reason));
            }
        }
    }
    Ok(models)
}

/// One table of the list.
struct Row<'a> {
    index: usize,
    table: &'a Table,
    origin: &'a str,
}

impl Row<'_> {
    fn model(
        &self,
        providers: &ProviderSettings,
        replies: &ReplySettings,
    ) -> Result<ModelSettings, SettingsError> {
        if let Some(unknown) = self.table.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(self.impossible(unknown, "there is no such key"));
        }
        let id = self.text("id")?.ok_or_else(|| self.impossible("id", "must not be empty"))?;
        let provider = self.provider(providers)?;
        let context_tokens =
            self.number("context_tokens", 2..=MAX_TOKENS)?.unwrap_or(replies.context_tokens);
        let max_output_tokens = self
            .number("max_output_tokens", 1..=MAX_TOKENS)?
            .unwrap_or_else(|| replies.max_output_tokens.min(context_tokens / 2));
        if max_output_tokens >= context_tokens {
            return Err(self.impossible("max_output_tokens", "must be less than context_tokens"));
        }
        let limits = replies.time_limits;
        Ok(ModelSettings {
            upstream_model: self.text("upstream_model")?.unwrap_or_else(|| id.clone()),
            id,
            provider,
            context_tokens,
            max_output_tokens,
            input_price: self.price("input_price")?,
            output_price: self.price("output_price")?,
            fallbacks: self.fallbacks()?,
            time_limits: TimeLimits {
                first_token: self.seconds("first_token_seconds")?.unwrap_or(limits.first_token),
                idle: self.seconds("idle_seconds")?.unwrap_or(limits.idle),
                total: self.seconds("total_seconds")?.unwrap_or(limits.total),
            },
        })
    }

    fn provider(&self, providers: &ProviderSettings) -> Result<ProviderKind, SettingsError> {
        const NAME: &str = "provider";
        let name = self.text(NAME)?.unwrap_or_default();
        let known = PROVIDERS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        let kind =
            known.ok_or_else(|| self.impossible(NAME, "must be openai, llm_service or local"))?;
        match kind {
            _ if providers.has(kind) => Ok(kind),
            ProviderKind::OpenAi => {
                Err(self.impossible(NAME, "providers.openai.api_key (OPENAI_API_KEY) is not set"))
            }
            _ => Err(self
                .impossible(NAME, "providers.llm_service.base_url (LLM_SERVICE_URL) is not set")),
        }
    }

    fn text(&self, name: &str) -> Result<Option<String>, SettingsError> {
        let Some(value) = self.table.get(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| self.impossible(name, "must be a text"))?;
        Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
    }

    fn number(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<u32>, SettingsError> {
        let Some(value) = self.table.get(name) else { return Ok(None) };
        let number = value.as_integer().filter(|number| range.contains(number));
        let number = number.and_then(|number| u32::try_from(number).ok());
        number.map(Some).ok_or_else(|| {
            let (min, max) = range.into_inner();
            self.impossible(name, format!("must be a whole number from {min} to {max}"))
        })
    }

    fn seconds(&self, name: &str) -> Result<Option<Duration>, SettingsError> {
        let seconds = self.number(name, 1..=super::replies::MAX_SECONDS)?;
        Ok(seconds.map(|seconds| Duration::from_secs(seconds.into())))
    }

    fn price(&self, name: &str) -> Result<f64, SettingsError> {
        let Some(value) = self.table.get(name) else { return Ok(0.0) };
        let whole = || value.as_integer().and_then(|n| u32::try_from(n).ok()).map(f64::from);
        let price = value.as_float().or_else(whole);
        price
            .filter(|price| price.is_finite() && *price >= 0.0)
            .ok_or_else(|| self.impossible(name, "must be a price, 0 or more"))
    }

    fn fallbacks(&self) -> Result<Vec<String>, SettingsError> {
        const NAME: &str = "fallbacks";
        let Some(value) = self.table.get(NAME) else { return Ok(Vec::new()) };
        let texts = value.as_array().and_then(|items| {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        texts.ok_or_else(|| self.impossible(NAME, "must be a list of texts"))
    }

    fn impossible(&self, name: &str, reason: impl Into<String>) -> SettingsError {
        let nothing = Value::from("");
        let value = self.table.get(name).unwrap_or(&nothing);
        impossible(&format!("{KEY}[{}].{name}", self.index), value, self.origin, reason)
    }
}
