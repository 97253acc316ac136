//! Where things are kept, and for how long.

use std::{path::PathBuf, time::Duration};

use repartee_infrastructure::objects::S3Settings;
use secrecy::SecretString;

use super::SettingsError;
use super::database_url;
use super::layers::Layers;
use super::reader::Reader;

const DAY: Duration = Duration::from_hours(24);

#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `postgres://…`, `sqlite://path` or `sqlite::memory:`.
    pub url: SecretString,
    pub max_connections: u32,
}

#[derive(Debug, Clone)]
pub struct FileSettings {
    pub store: FileStore,
    /// Whether uploads also go to the provider's Files API.
    pub upstream: bool,
}

#[derive(Debug, Clone)]
pub enum FileStore {
    /// In this folder.
    Local(PathBuf),
    S3(S3Settings),
}

/// How long things are kept; `None` for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionSettings {
    pub conversations: Option<Duration>,
    /// A day at least.
    pub guests: Duration,
    pub analytics: Option<Duration>,
    pub audit: Option<Duration>,
    pub exports: Option<Duration>,
    pub outbox: Option<Duration>,
}

/// Fills in the paths that follow from another, and brings the database's URL into one form.
pub(super) fn settle(layers: &mut Layers) -> Result<(), SettingsError> {
    let reader = Reader { layers };
    let data_dir = reader.required("data_dir")?;
    let data_dir = data_dir.trim_end_matches('/');
    let models_dir = reader.given("models_dir").map_or(format!("{data_dir}/models"), str::to_owned);
    let url = match reader.given("database.url") {
        None => format!("sqlite://{data_dir}/repartee.db"),
        Some(url) => database_url::translate(url)
            .map_err(|reason| reader.impossible("database.url", reason))?,
    };
    layers.restate("models_dir", models_dir);
    layers.restate("database.url", url);
    Ok(())
}

impl DatabaseSettings {
    pub(super) fn read(reader: Reader<'_>) -> Result<Self, SettingsError> {
        Ok(Self {
            url: reader.text("database.url").into(),
            max_connections: reader.number("database.max_connections", 1..=10_000)?,
        })
    }
}

impl FileSettings {
    pub(super) fn read(reader: Reader<'_>) -> Result<Self, SettingsError> {
        let endpoint = reader.url("files.s3.endpoint", &["https", "http"])?;
        let is_remote = reader.choice("files.store", &[("local", false), ("s3", true)])?;
        let store = if is_remote {
            FileStore::S3(S3Settings {
                bucket: reader.required("files.s3.bucket")?,
                endpoint: endpoint.map(String::from),
                region: reader.required("files.s3.region")?,
                access_key_id: reader.required("files.s3.access_key_id")?,
                secret_access_key: reader.required("files.s3.secret_access_key")?.into(),
                session_token: reader.secret("files.s3.session_token"),
            })
        } else {
            FileStore::Local(PathBuf::from(reader.required("data_dir")?).join("files"))
        };
        Ok(Self { store, upstream: reader.flag("files.upstream") })
    }
}

impl RetentionSettings {
    pub(super) fn read(reader: Reader<'_>) -> Result<Self, SettingsError> {
        let days = |key| {
            let kept = reader.duration(key, DAY, 0..=36_500)?;
            Ok(Some(kept).filter(|kept| !kept.is_zero()))
        };
        Ok(Self {
            conversations: days("retention.conversations_days")?,
            guests: reader.duration("retention.guests_days", DAY, 1..=36_500)?,
            analytics: days("retention.analytics_days")?,
            audit: days("retention.audit_days")?,
            exports: days("retention.exports_days")?,
            outbox: days("retention.outbox_days")?,
        })
    }
}
