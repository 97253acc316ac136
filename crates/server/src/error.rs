//! Why the server does not start.

use std::io;

use repartee_application::ports::PortError;
use repartee_infrastructure::{
    objects::InvalidS3Settings, persistence::DatabaseError, redis::RedisError,
};
use thiserror::Error;

use crate::settings::SettingsError;

/// One clear line each.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("{0}")]
    Configuration(#[from] SettingsError),
    #[error("{0}")]
    Settings(String),
    #[error("the signing secret cannot be read or made in data_dir: {0}")]
    Secret(io::Error),
    #[error("the operating system gives no secure random numbers: {0}")]
    Randomness(String),
    #[error(transparent)]
    Database(DatabaseError),
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("the database refused what was asked of it")]
    Port(#[from] PortError),
    #[error("files cannot be kept where files.store says")]
    Files(#[source] PortError),
    #[error("files.s3: {0}")]
    S3(#[from] InvalidS3Settings),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: String, source: io::Error },
    /// What a command was asked to do cannot be done.
    #[error("{0}")]
    Command(String),
    #[error("{0}")]
    Io(io::Error),
    #[error("{0}")]
    Models(#[from] repartee_local_models::FetchError),
}

impl StartError {
    /// 2 for what the configuration has to mend, 1 for anything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) | Self::Settings(_) => 2,
            _ => 1,
        }
    }
}
