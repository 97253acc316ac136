//! Who runs models.

use secrecy::SecretString;
use url::Url;

use super::SettingsError;
use super::reader::Reader;

#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// `None` where there is no key for it.
    pub openai: Option<OpenAiProvider>,
    /// `None` where there is no URL of one.
    pub llm_service: Option<OpenAiProvider>,
}

/// Something that speaks `OpenAI`'s API.
#[derive(Debug, Clone)]
pub struct OpenAiProvider {
    /// Without a slash at its end: `{base_url}/chat/completions`.
    pub base_url: String,
    pub api_key: Option<SecretString>,
    /// The model to ask where a request names none; `None` for the first that it lists.
    pub model: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    OpenAi,
    LlmService,
    /// The model that runs in the process.
    Local,
}

impl ProviderSettings {
    pub(super) fn read(reader: Reader<'_>) -> Result<Self, SettingsError> {
        let openai_url = base_url(reader, "providers.openai.base_url")?.map_or_else(
            || Err(reader.impossible("providers.openai.base_url", "must not be empty")),
            |url| Ok(path_joined(&url, "")),
        )?;
        let openai = reader.secret("providers.openai.api_key").map(|key| OpenAiProvider {
            base_url: openai_url,
            api_key: Some(key),
            model: reader.given("providers.openai.model").map(str::to_owned),
        });
        let service_url = base_url(reader, "providers.llm_service.base_url")?;
        let llm_service = service_url.map(|url| OpenAiProvider {
            base_url: path_joined(&url, "/v1"),
            api_key: reader.secret("providers.llm_service.api_key"),
            model: reader.given("providers.llm_service.model").map(str::to_owned),
        });
        Ok(Self { openai, llm_service })
    }

    /// The one that is asked where no models are listed: the service, then `OpenAI`, then what runs
    /// in the process.
    pub fn preferred(&self) -> ProviderKind {
        match (&self.llm_service, &self.openai) {
            (Some(_), _) => ProviderKind::LlmService,
            (None, Some(_)) => ProviderKind::OpenAi,
            (None, None) => ProviderKind::Local,
        }
    }

    /// Whether it could be asked at all.
    pub(super) fn has(&self, kind: ProviderKind) -> bool {
        match kind {
            ProviderKind::OpenAi => self.openai.is_some(),
            ProviderKind::LlmService => self.llm_service.is_some(),
            ProviderKind::Local => true,
        }
    }
}

fn base_url(reader: Reader<'_>, key: &str) -> Result<Option<Url>, SettingsError> {
    let url = reader.url(key, &["https", "http"])?;
    let is_more = |url: &Url| {
        !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some()
    };
    if url.as_ref().is_some_and(is_more) {
        return Err(reader.impossible(key, "must hold no user, password or query"));
    }
    Ok(url)
}

/// The URL without a slash at its end, and with this end.
fn path_joined(url: &Url, end: &str) -> String {
    let text = url.as_str().trim_end_matches('/');
    format!("{}{end}", text.strip_suffix(end).unwrap_or(text))
}
