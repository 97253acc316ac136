//! How replies are written.

use std::time::Duration;

use super::SettingsError;
use super::models::MAX_TOKENS;
use super::reader::Reader;

const SECOND: Duration = Duration::from_secs(1);
pub(super) const MAX_SECONDS: i64 = 86_400;

#[derive(Debug, Clone)]
pub struct ReplySettings {
    /// The operator's; goes before everybody else's.
    pub system_message: Option<String>,
    /// Of one model, before its fallbacks are asked. At least 1.
    pub attempts: u32,
    /// Prompt and reply together, for models that say nothing else.
    pub context_tokens: u32,
    /// Less than `context_tokens`.
    pub max_output_tokens: u32,
    /// For models that say nothing else.
    pub time_limits: TimeLimits,
    /// Whether conversations without a title get one.
    pub titles: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimits {
    pub first_token: Duration,
    /// Between one token and the next.
    pub idle: Duration,
    pub total: Duration,
}

/// The model that runs in the process.
#[derive(Debug, Clone, Copy)]
pub struct LocalModelSettings {
    /// Replies written at once.
    pub concurrency: usize,
    pub max_output_tokens: u32,
}

impl ReplySettings {
    pub(super) fn read(reader: Reader<'_>) -> Result<Self, SettingsError> {
        const OUTPUT: &str = "replies.max_output_tokens";
        let context_tokens = reader.number("replies.context_tokens", 256..=MAX_TOKENS)?;
        let max_output_tokens = reader.number(OUTPUT, 1..=MAX_TOKENS)?;
        if max_output_tokens >= context_tokens {
            return Err(reader.impossible(OUTPUT, "must be less than replies.context_tokens"));
        }
        let seconds = |key| reader.duration(key, SECOND, 1..=MAX_SECONDS);
        Ok(Self {
            system_message: reader.given("replies.system_message").map(str::to_owned),
            attempts: reader.number("replies.attempts", 1..=10)?,
            context_tokens,
            max_output_tokens,
            titles: reader.flag("replies.titles"),
            time_limits: TimeLimits {
                first_token: seconds("replies.first_token_seconds")?,
                idle: seconds("replies.idle_seconds")?,
                total: seconds("replies.total_seconds")?,
            },
        })
    }
}

impl LocalModelSettings {
    pub(super) fn read(reader: Reader<'_>) -> Result<Self, SettingsError> {
        Ok(Self {
            concurrency: reader.number("local_model.concurrency", 1..=256)?,
            max_output_tokens: reader.number("local_model.max_output_tokens", 1..=1024)?,
        })
    }
}
