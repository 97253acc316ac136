//! The settings: what is in force, out of files and variables, checked once at the start.

mod auth;
mod database_url;
mod development_secret;
mod environment;
mod error;
mod external;
mod http;
mod layers;
mod limits;
mod log;
mod mail;
mod masked;
mod models;
mod not_yet;
mod providers;
mod reader;
mod replies;
mod sources;
mod storage;
#[cfg(test)]
mod tests;
mod well_known;

use std::io;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

pub use self::auth::{AuthSettings, Bootstrap, Registration};
pub use self::environment::Environment;
pub use self::error::SettingsError;
pub use self::external::ExternalIssuer;
pub use self::http::{CorsOrigins, HttpSettings};
use self::layers::Layers;
pub use self::limits::{GuestSettings, LimitSettings};
pub use self::log::{LogFormat, LogSettings, TelemetrySettings};
pub use self::mail::MailSettings;
pub use self::models::ModelSettings;
pub use self::providers::{OpenAiProvider, ProviderKind, ProviderSettings};
use self::reader::Reader;
pub use self::replies::{LocalModelSettings, ReplySettings, TimeLimits};
pub use self::sources::Sources;
pub use self::storage::{DatabaseSettings, FileSettings, FileStore, RetentionSettings};

const BUILT_IN_DEFAULTS: &str = include_str!("../../../config/default.toml");

/// Everything that can be configured; `config/default.toml` says what each means.
#[derive(Debug, Clone)]
pub struct Settings {
    pub environment: Environment,
    pub data_dir: PathBuf,
    pub models_dir: PathBuf,
    pub http: HttpSettings,
    pub database: DatabaseSettings,
    /// `redis://` or `rediss://`; `None` for everything in process.
    pub redis_url: Option<SecretString>,
    pub auth: AuthSettings,
    pub bootstrap: Option<Bootstrap>,
    pub limits: LimitSettings,
    pub guests: GuestSettings,
    pub providers: ProviderSettings,
    /// Empty: any name is passed on to the provider that is preferred.
    pub models: Vec<ModelSettings>,
    pub replies: ReplySettings,
    pub local_model: LocalModelSettings,
    pub files: FileSettings,
    pub mail: MailSettings,
    pub retention: RetentionSettings,
    pub telemetry: TelemetrySettings,
    pub log: LogSettings,
    layers: Layers,
    defaults: Layers,
}

impl Settings {
    /// Lays the sources over the defaults and checks what comes of it. Stops at the first error.
    pub fn load(sources: &Sources) -> Result<Self, SettingsError> {
        let environment = Environment::of(sources)?;
        let defaults = Layers::on(BUILT_IN_DEFAULTS)?;
        let mut layers = defaults.clone();
        let file = environment.file();
        let files = [
            (layers::DEFAULTS, sources.file(layers::DEFAULTS)),
            (&file, Some(environment.built_in())),
            (&file, sources.file(&file)),
        ];
        for (file, text) in files {
            layers.lay_file(file, text.unwrap_or_default())?;
        }
        for (key, variable) in sources.keyed_variables() {
            layers.lay_text(&key, &variable.value, &variable.origin)?;
        }
        well_known::lay(&mut layers, sources)?;
        storage::settle(&mut layers)?;
        Self::read(environment, layers, defaults)
    }

    fn read(
        environment: Environment,
        layers: Layers,
        defaults: Layers,
    ) -> Result<Self, SettingsError> {
        let reader = Reader { layers: &layers };
        refuse_moderation(reader)?;
        reader.url("redis.url", &["redis", "rediss"])?;
        let providers = ProviderSettings::read(reader)?;
        let replies = ReplySettings::read(reader)?;
        Ok(Self {
            environment,
            data_dir: reader.required("data_dir")?.into(),
            models_dir: reader.required("models_dir")?.into(),
            http: HttpSettings::read(reader, environment)?,
            database: DatabaseSettings::read(reader)?,
            redis_url: reader.secret("redis.url"),
            auth: AuthSettings::read(reader, environment)?,
            bootstrap: Bootstrap::read(reader)?,
            limits: LimitSettings::read(reader)?,
            guests: GuestSettings::read(reader)?,
            models: models::read(reader, &providers, &replies)?,
            providers,
            replies,
            local_model: LocalModelSettings::read(reader)?,
            files: FileSettings::read(reader)?,
            mail: MailSettings::read(reader)?,
            retention: RetentionSettings::read(reader)?,
            telemetry: TelemetrySettings::read(reader)?,
            log: LogSettings::read(reader)?,
            layers,
            defaults,
        })
    }

    /// What access tokens are signed with: the secret that is configured or, outside production,
    /// one that is made on first use and kept in the data directory.
    pub fn signing_secret(&self) -> io::Result<SecretString> {
        match &self.auth.secret {
            Some(secret) => Ok(secret.clone()),
            None => development_secret::development_secret(&self.data_dir),
        }
    }

    /// What to warn of at the start, a line each.
    pub fn warnings(&self) -> Vec<String> {
        let weakness = self.auth.secret.as_ref().and_then(|s| auth::weakness(s.expose_secret()));
        let weakness = weakness.map(|weakness| format!("auth.secret {weakness} in production"));
        let idle_issuer = self.auth.external.warning();
        weakness.into_iter().chain(idle_issuer).chain(self.not_yet_in_force()).collect()
    }

    /// Keys that are set but change nothing in this version, a line for each feature.
    pub fn not_yet_in_force(&self) -> Vec<String> {
        not_yet::lines(&self.layers, &self.defaults)
    }

    /// What is in force, as TOML; secrets are masked.
    pub fn render_masked(&self) -> String {
        masked::render(&self.layers)
    }
}

/// What keeps people safe is never silently absent.
fn refuse_moderation(reader: Reader<'_>) -> Result<(), SettingsError> {
    const KEY: &str = "moderation.mode";
    let is_wanted = reader.choice(KEY, &[("off", false), ("local", true), ("openai", true)])?;
    if is_wanted {
        return Err(reader.impossible(KEY, "this version moderates nothing: it must be off"));
    }
    Ok(())
}
