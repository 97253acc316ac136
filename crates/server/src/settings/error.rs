//! What stops the start: one line that names key, value and source.

use thiserror::Error;

/// Never holds a secret: values are masked before they get here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    #[error("{key} = {value} ({origin}): {reason}")]
    Key { key: String, value: String, origin: String, reason: String },
    #[error("{file}: {reason}")]
    File { file: String, reason: String },
}

impl SettingsError {
    /// What the process exits with: the same as for a wrong command line.
    pub const EXIT_CODE: u8 = 2;
}
