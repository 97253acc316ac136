//! Where this runs: which file lies over the defaults, and how strict the checks are.

use std::fmt;

use super::{SettingsError, Sources};

pub(super) const VARIABLE: &str = "REPARTEE_ENV";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Environment {
    #[default]
    Development,
    Test,
    Production,
}

impl Environment {
    const ALL: [Self; 3] = [Self::Development, Self::Test, Self::Production];

    /// Named by `REPARTEE_ENV`.
    pub(super) fn of(sources: &Sources) -> Result<Self, SettingsError> {
        let Some(variable) = sources.variable(VARIABLE) else { return Ok(Self::default()) };
        let named = Self::ALL.into_iter().find(|known| known.name() == variable.value);
        named.ok_or_else(|| SettingsError::Key {
            key: VARIABLE.to_owned(),
            value: format!("{:?}", variable.value),
            origin: variable.origin.clone(),
            reason: "must be development, test or production".to_owned(),
        })
    }

    pub(super) fn file(self) -> String {
        format!("config/{self}.toml")
    }

    /// The file as it was when this was built.
    pub(super) fn built_in(self) -> &'static str {
        match self {
            Self::Development => include_str!("../../../../config/development.toml"),
            Self::Test => include_str!("../../../../config/test.toml"),
            Self::Production => include_str!("../../../../config/production.toml"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Test => "test",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
