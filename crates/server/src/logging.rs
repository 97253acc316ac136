//! Logs: to stderr and, where a directory is configured, into a file a day.

use std::io::{self, IsTerminal};

use thiserror::Error;
use tracing_appender::rolling::{InitError, RollingFileAppender, Rotation};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::settings::{LogFormat, LogSettings};

/// Below what is asked for: libraries that, at `debug`, write each statement or each frame.
/// Naming one of them in the filter goes before this.
const QUIET: &str =
    "sqlx=warn,sea_orm=warn,h2=info,hyper=info,hyper_util=info,reqwest=info,rustls=info";

#[derive(Debug, Error)]
pub enum LoggingError {
    #[error("log.level is no filter")]
    Filter(#[from] ParseError),
    #[error("log.dir cannot be written to")]
    Directory(#[from] InitError),
    #[error("logging has been set up before")]
    Repeated(#[from] TryInitError),
}

/// To be called once, before anything is logged.
pub fn init(settings: &LogSettings) -> Result<(), LoggingError> {
    let is_terminal = io::stderr().is_terminal();
    let file = match &settings.dir {
        Some(dir) => {
            let appender = RollingFileAppender::builder()
                .rotation(Rotation::DAILY)
                .filename_prefix("repartee")
                .filename_suffix("log")
                .build(dir)?;
            Some(layer(settings.format, appender, false))
        }
        None => None,
    };
    tracing_subscriber::registry()
        .with(layer(settings.format, io::stderr, is_terminal).and_then(file))
        .with(filter(&settings.level)?)
        .try_init()?;
    Ok(())
}

/// A filter as `RUST_LOG` has it.
pub(crate) fn filter(directives: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(format!("{QUIET},{directives}"))
}

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

fn layer<W>(format: LogFormat, writer: W, ansi: bool) -> BoxedLayer
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer).with_ansi(ansi);
    match format {
        LogFormat::Pretty => layer.compact().boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_ansi(false).boxed(),
    }
}
