//! The names that deployments already use, and the keys that they stand for.

use toml::Value;

use super::SettingsError;
use super::database_url;
use super::layers::{Layers, flag, impossible};
use super::sources::{Sources, Variable};

/// Each key, and the names for it: the first that is set counts.
const NAMES: [(&str, &[&str]); 25] = [
    ("auth.external.issuer", &["AUTH_SERVICE_URL"]),
    ("auth.secret", &["JWT_SECRET", "SECRET_KEY", "AUTH_SECRET_KEY"]),
    ("data_dir", &["DATA_PATH"]),
    ("database.url", &[DATABASE_URL]),
    ("files.s3.access_key_id", &["AWS_ACCESS_KEY_ID"]),
    ("files.s3.bucket", &["S3_BUCKET"]),
    ("files.s3.endpoint", &["S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
    ("files.s3.region", &["AWS_REGION", "AWS_DEFAULT_REGION"]),
    ("files.s3.secret_access_key", &["AWS_SECRET_ACCESS_KEY"]),
    ("files.s3.session_token", &["AWS_SESSION_TOKEN"]),
    ("http.cors_origins", &["CORS_ORIGIN", "CORS_ORIGINS"]),
    ("http.host", &["HOST"]),
    ("http.port", &["PORT", "SERVER_PORT"]),
    ("http.workers", &["WORKERS"]),
    ("log.dir", &["LOGS_PATH"]),
    ("log.format", &["LOG_FORMAT"]),
    ("log.level", &["RUST_LOG"]),
    ("mail.smtp_url", &["SMTP_URL"]),
    ("providers.llm_service.base_url", &[LLM_SERVICE_URL]),
    ("providers.openai.api_key", &["OPENAI_API_KEY"]),
    ("providers.openai.base_url", &["OPENAI_BASE_URL"]),
    ("providers.openai.model", &["OPENAI_MODEL"]),
    ("redis.url", &[REDIS_URL]),
    ("telemetry.otlp_endpoint", &["OTEL_EXPORTER_OTLP_ENDPOINT"]),
    ("telemetry.sentry_dsn", &["SENTRY_DSN"]),
];

const DATABASE_URL: &str = "DATABASE_URL";
const LLM_SERVICE_URL: &str = "LLM_SERVICE_URL";
const REDIS_URL: &str = "REDIS_URL";
const REDIS_DB: &str = "REDIS_DB";
const DEBUG: &str = "DEBUG";
const POOL: [&str; 2] = ["DATABASE_POOL_SIZE", "DATABASE_MAX_OVERFLOW"];

/// Every name that means something here.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let of_keys = NAMES.iter().flat_map(|(_, names)| *names).copied();
    of_keys.chain([REDIS_DB, DEBUG]).chain(POOL).chain(database_url::names())
}

/// The last layer.
pub(super) fn lay(layers: &mut Layers, sources: &Sources) -> Result<(), SettingsError> {
    // Before the names of keys: RUST_LOG says more than DEBUG.
    lay_debug(layers, sources)?;
    lay_database_parts(layers, sources)?;
    for (key, names) in NAMES {
        if let Some(variable) = names.iter().find_map(|name| sources.variable(name)) {
            layers.lay_text(key, &variable.value, &variable.origin)?;
        }
    }
    lay_pool(layers, sources)?;
    lay_redis_db(layers, sources)?;
    lay_llm_service(layers, sources)
}

fn lay_debug(layers: &mut Layers, sources: &Sources) -> Result<(), SettingsError> {
    let Some(variable) = sources.variable(DEBUG) else { return Ok(()) };
    match flag(&variable.value) {
        Some(true) => layers.lay("log.level", "debug".into(), &variable.origin),
        Some(false) => Ok(()),
        None => Err(wrong("log.level", variable, "must be true or false")),
    }
}

fn lay_database_parts(layers: &mut Layers, sources: &Sources) -> Result<(), SettingsError> {
    if sources.variable(DATABASE_URL).is_some() {
        return Ok(());
    }
    match database_url::from_parts(sources)? {
        Some((url, origin)) => layers.lay("database.url", url.into(), &origin),
        None => Ok(()),
    }
}

/// The two of `SQLAlchemy`: connections that are kept, and those beyond.
fn lay_pool(layers: &mut Layers, sources: &Sources) -> Result<(), SettingsError> {
    const KEY: &str = "database.max_connections";
    let parts: Vec<&Variable> = POOL.iter().filter_map(|name| sources.variable(name)).collect();
    let mut sum = 0_i64;
    for part in &parts {
        let number = part.value.trim().parse::<u32>();
        let number = number.map_err(|_| wrong(KEY, part, "must be a whole number"))?;
        sum += i64::from(number);
    }
    let origins: Vec<_> = parts.iter().map(|part| part.origin.as_str()).collect();
    if parts.is_empty() { Ok(()) } else { layers.lay(KEY, sum.into(), &origins.join(" + ")) }
}

/// Which database of `REDIS_URL`; alone it means nothing.
fn lay_redis_db(layers: &mut Layers, sources: &Sources) -> Result<(), SettingsError> {
    const KEY: &str = "redis.url";
    let (Some(url), Some(number)) = (sources.variable(REDIS_URL), sources.variable(REDIS_DB))
    else {
        return Ok(());
    };
    let database = number.value.trim().parse::<u32>();
    let database = database.map_err(|_| wrong(KEY, number, "must be a whole number"))?;
    let (base, query) = match url.value.split_once('?') {
        Some((base, query)) => (base, format!("?{query}")),
        None => (url.value.as_str(), String::new()),
    };
    let Some((scheme, rest)) = base.split_once("://") else { return Ok(()) };
    let host = rest.split('/').next().unwrap_or_default();
    layers.lay(KEY, format!("{scheme}://{host}/{database}{query}").into(), &url.origin)
}

/// What is said for `OpenAI` holds for the service that takes its place.
fn lay_llm_service(layers: &mut Layers, sources: &Sources) -> Result<(), SettingsError> {
    if sources.variable(LLM_SERVICE_URL).is_none() {
        return Ok(());
    }
    for (name, key) in [
        ("OPENAI_API_KEY", "providers.llm_service.api_key"),
        ("OPENAI_MODEL", "providers.llm_service.model"),
    ] {
        if let Some(variable) = sources.variable(name) {
            layers.lay_text(key, &variable.value, &variable.origin)?;
        }
    }
    Ok(())
}

fn wrong(key: &str, variable: &Variable, reason: &str) -> SettingsError {
    impossible(key, &Value::from(variable.value.as_str()), &variable.origin, reason)
}
