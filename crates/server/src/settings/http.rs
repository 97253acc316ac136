//! What the server listens on, and for whom.

use std::net::IpAddr;
use std::time::Duration;

use url::Url;

use super::reader::Reader;
use super::{Environment, SettingsError};

const MIB: i64 = 1024 * 1024;

#[derive(Debug, Clone)]
pub struct HttpSettings {
    pub host: String,
    /// 0 for any free one.
    pub port: u16,
    /// `None` for one per core.
    pub workers: Option<usize>,
    pub body_limit_bytes: usize,
    pub upload_limit_bytes: usize,
    /// How long replies being written may go on after SIGTERM.
    pub drain: Duration,
    /// Networks, each as an address and the length of its prefix in bits.
    pub trusted_proxies: Vec<(IpAddr, u8)>,
    pub cors_origins: CorsOrigins,
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
            workers: reader.number_or_auto("http.workers", 1024)?,
            body_limit_bytes: reader.number("http.body_limit_bytes", 1024..=64 * MIB)?,
            upload_limit_bytes: reader.number("http.upload_limit_bytes", 1024..=4096 * MIB)?,
            drain: reader.duration("http.drain_seconds", Duration::from_secs(1), 0..=3600)?,
            trusted_proxies: trusted_proxies(reader)?,
            cors_origins: cors_origins(reader, environment)?,
        })
    }
}

fn trusted_proxies(reader: Reader<'_>) -> Result<Vec<(IpAddr, u8)>, SettingsError> {
    const KEY: &str = "http.trusted_proxies";
    let network = |text: &str| {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.trim().parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(bits), |prefix| prefix.trim().parse().ok())?;
        (prefix <= bits).then_some((address, prefix))
    };
    let refused = |text| {
        reader.impossible(KEY, format!("{text:?} is neither an address nor a network (10.0.0.0/8)"))
    };
    reader.list(KEY).map(|text| network(text).ok_or_else(|| refused(text))).collect()
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
