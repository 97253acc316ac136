//! What is told about the server, and whom.

use std::path::PathBuf;

use secrecy::SecretString;

use super::SettingsError;
use super::reader::Reader;
use crate::logging;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// A filter as `RUST_LOG` has it, known to be one.
    pub level: String,
    pub format: LogFormat,
    /// Where a file a day is written; `None` for no files.
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line for people.
    Pretty,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Clone)]
pub struct TelemetrySettings {
    pub sentry_dsn: Option<SecretString>,
    pub otlp_endpoint: Option<String>,
}

impl LogSettings {
    pub(super) fn read(reader: Reader<'_>) -> Result<Self, SettingsError> {
        const LEVEL: &str = "log.level";
        let level = reader.required(LEVEL)?;
        if logging::filter(&level).is_err() {
            return Err(reader.impossible(
                LEVEL,
                "must be error, warn, info, debug, trace, off or a filter (info,repartee_api=debug)",
            ));
        }
        Ok(Self {
            level,
            format: reader.choice(
                "log.format",
                &[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)],
            )?,
            dir: reader.given("log.dir").map(PathBuf::from),
        })
    }
}

impl TelemetrySettings {
    pub(super) fn read(reader: Reader<'_>) -> Result<Self, SettingsError> {
        const DSN: &str = "telemetry.sentry_dsn";
        reader.url(DSN, &["https", "http"])?;
        let endpoint = reader.url("telemetry.otlp_endpoint", &["https", "http"])?;
        Ok(Self { sentry_dsn: reader.secret(DSN), otlp_endpoint: endpoint.map(String::from) })
    }
}
