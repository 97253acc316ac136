//! What the server listens on, and for whom.

use std::time::Duration;

use repartee_api::Hsts;
use repartee_domain::network::{Network, NoNetwork};
use url::Url;

use super::reader::Reader;
use super::{Environment, SettingsError};

const MIB: i64 = 1024 * 1024;

#[derive(Debug, Clone)]
pub struct HttpSettings {
    pub host: String,
    /// 0 for any free one.
    pub port: u16,
    /// Where clients find the server, if that is said; never with a slash at the end.
    pub public_url: Option<String>,
    /// `None` for one per core.
    pub workers: Option<usize>,
    pub body_limit_bytes: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    pub upload_limit_bytes: usize,
    /// How long an upload may take to arrive.
    pub upload_timeout: Duration,
    /// How long replies being written may go on after SIGTERM.
    pub drain: Duration,
    /// How long a reader may stand still with data waiting.
    pub stalled_reader: Duration,
    /// Whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<Network>,
    pub cors_origins: CorsOrigins,
    pub hsts: Hsts,
}

/// Which pages' scripts may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    Any,
    /// Each as a browser sends it in `Origin` (RFC 6454, 6.1).
    Listed(Vec<String>),
}

impl HttpSettings {
    pub(super) fn read(
        reader: Reader<'_>,
        environment: Environment,
    ) -> Result<Self, SettingsError> {
        Ok(Self {
            host: reader.required("http.host")?,
            port: reader.number("http.port", 0..=65_535)?,
            public_url: public_url(reader)?,
            workers: reader.number_or_auto("http.workers", 1024)?,
            body_limit_bytes: reader.number("http.body_limit_bytes", 1024..=64 * MIB)?,
            body_timeout: reader.duration(
                "http.body_timeout_seconds",
                Duration::from_secs(1),
                1..=600,
            )?,
            upload_limit_bytes: reader.number("http.upload_limit_bytes", 1024..=4096 * MIB)?,
            upload_timeout: reader.duration(
                "http.upload_timeout_seconds",
                Duration::from_secs(1),
                1..=1800,
            )?,
            drain: reader.duration("http.drain_seconds", Duration::from_secs(1), 0..=3600)?,
            stalled_reader: reader.duration(
                "http.stalled_reader_seconds",
                Duration::from_secs(1),
                1..=3600,
            )?,
            trusted_proxies: trusted_proxies(reader)?,
            cors_origins: cors_origins(reader, environment)?,
            hsts: reader.choice(
                "http.hsts",
                &[("auto", Hsts::BehindTls), ("on", Hsts::Always), ("off", Hsts::Never)],
            )?,
        })
    }

    /// What links in mails begin with: the public address, or where the server listens.
    pub fn links_begin_with(&self) -> String {
        self.public_url.clone().unwrap_or_else(|| {
            let Self { host, port, .. } = self;
            if host.contains(':') {
                format!("http://[{host}]:{port}")
            } else {
                format!("http://{host}:{port}")
            }
        })
    }
}

/// Links end in a fragment, which a query or a fragment before it would break.
fn public_url(reader: Reader<'_>) -> Result<Option<String>, SettingsError> {
    const KEY: &str = "http.public_url";
    let Some(url) = reader.url(KEY, &["https", "http"])? else { return Ok(None) };
    if url.query().is_some() || url.fragment().is_some() {
        return Err(reader.impossible(KEY, "must have no query and no fragment"));
    }
    Ok(Some(url.as_str().trim_end_matches('/').to_owned()))
}

fn trusted_proxies(reader: Reader<'_>) -> Result<Vec<Network>, SettingsError> {
    const KEY: &str = "http.trusted_proxies";
    let refused = |text, error| reader.impossible(KEY, format!("{text:?} is {error}"));
    reader
        .list(KEY)
        .map(|text| text.parse().map_err(|error: NoNetwork| refused(text, error)))
        .collect()
}

fn cors_origins(
    reader: Reader<'_>,
    environment: Environment,
) -> Result<CorsOrigins, SettingsError> {
    const KEY: &str = "http.cors_origins";
    let given: Vec<&str> = reader.list(KEY).collect();
    if given.contains(&"*") {
        return match environment {
            Environment::Production => {
                Err(reader.impossible(KEY, "\"*\" is not possible in production: list the origins"))
            }
            Environment::Development | Environment::Test => Ok(CorsOrigins::Any),
        };
    }
    let origin = |text: &str| {
        let url = Url::parse(text).ok()?;
        let origin = url.origin().ascii_serialization();
        let is_origin =
            origin != "null" && text.trim_end_matches('/').eq_ignore_ascii_case(&origin);
        is_origin.then_some(origin)
    };
    let refused =
        |text| reader.impossible(KEY, format!("{text:?} is no origin (https://chat.example.com)"));
    let listed: Result<_, _> =
        given.into_iter().map(|text| origin(text).ok_or_else(|| refused(text))).collect();
    listed.map(CorsOrigins::Listed)
}
