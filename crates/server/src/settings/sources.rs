//! Everything the settings are made of, read at once, so that making them needs no IO.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use secrecy::SecretString;

use super::SettingsError;
use super::environment::VARIABLE;
use super::layers::DEFAULTS;
use super::well_known;

const DOTENV: &str = ".env";
const ADMIN_PASSWORD: &str = "REPARTEE_ADMIN_PASSWORD";
/// What the variables begin with whose names are keys.
pub(super) const PREFIX: &str = "REPARTEE__";

/// Not `Debug`: variables hold secrets.
#[derive(Clone, Default)]
pub struct Sources {
    variables: BTreeMap<String, Variable>,
    files: BTreeMap<String, String>,
}

/// A variable that is set, to something.
#[derive(Clone)]
pub(super) struct Variable {
    pub(super) value: String,
    pub(super) origin: String,
}

impl Sources {
    /// The variables of this process, and `.env` and `config/` in a directory.
    pub fn read(directory: &Path) -> Result<Self, SettingsError> {
        let mut sources = Self::default();
        if let Some(text) = read(directory, DOTENV)? {
            sources = sources.with_dotenv(&text)?;
        }
        sources = sources.with_variables(variables_of_the_process()?);
        let files = [DEFAULTS.to_owned()].into_iter().chain(sources.environment_file());
        for file in files.collect::<Vec<_>>() {
            if let Some(text) = read(directory, &file)? {
                sources = sources.with_file(&file, &text);
            }
        }
        Ok(sources)
    }

    /// Environment variables. They go before those in `.env`. An empty one counts as not set.
    #[must_use]
    pub fn with_variables(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        for (name, value) in variables.into_iter().filter(|(_, value)| !value.is_empty()) {
            let origin = format!("environment variable {name}");
            self.variables.insert(name, Variable { value, origin });
        }
        self
    }

    /// The text of a `.env` file.
    pub fn with_dotenv(mut self, text: &str) -> Result<Self, SettingsError> {
        for line in dotenvy::from_read_iter(text.as_bytes()) {
            let (name, value) = line.map_err(|error| unreadable_line(text, &error))?;
            if !value.is_empty() && !self.variables.contains_key(&name) {
                let origin = format!("{name} in {DOTENV}");
                self.variables.insert(name, Variable { value, origin });
            }
        }
        Ok(self)
    }

    /// The text of a file of `config/`, named with it.
    #[must_use]
    pub fn with_file(mut self, file: &str, text: &str) -> Self {
        self.files.insert(file.to_owned(), text.to_owned());
        self
    }

    /// The password for `create-admin`, where nobody sits at a terminal. It is no setting.
    pub fn admin_password(&self) -> Option<SecretString> {
        self.variable(ADMIN_PASSWORD).map(|variable| variable.value.as_str().into())
    }

    pub(super) fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.get(name)
    }

    /// The variables whose names are keys, as `(key, variable)`.
    pub(super) fn keyed_variables(&self) -> impl Iterator<Item = (String, &Variable)> {
        self.variables.iter().filter_map(|(name, variable)| {
            let key = name.strip_prefix(PREFIX)?.to_lowercase().replace("__", ".");
            Some((key, variable))
        })
    }

    pub(super) fn file(&self, file: &str) -> Option<&str> {
        self.files.get(file).map(String::as_str)
    }

    /// `None` where the name of the environment is unknown, and so no path.
    fn environment_file(&self) -> Option<String> {
        super::Environment::of(self).ok().map(super::Environment::file)
    }
}

fn read(directory: &Path, file: &str) -> Result<Option<String>, SettingsError> {
    match fs::read_to_string(directory.join(file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SettingsError::File { file: file.to_owned(), reason: error.to_string() }),
    }
}

/// A variable that is ours has to be Unicode; the others are nobody's business here.
fn variables_of_the_process() -> Result<Vec<(String, String)>, SettingsError> {
    let is_ours = |name: &str| {
        [VARIABLE, ADMIN_PASSWORD].contains(&name)
            || name.starts_with(PREFIX)
            || well_known::names().any(|n| n == name)
    };
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| is_ours(name))
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(SettingsError::File {
                file: format!("environment variable {name}"),
                reason: "is not UTF-8".to_owned(),
            }),
        })
        .collect()
}

/// Says which line, not what is in it: it may be a secret.
fn unreadable_line(text: &str, error: &dotenvy::Error) -> SettingsError {
    let line = match error {
        dotenvy::Error::LineParse(part, _) => text.lines().position(|line| line.contains(part)),
        _ => None,
    };
    let file = match line {
        Some(line) => format!("{DOTENV}, line {}", line + 1),
        None => DOTENV.to_owned(),
    };
    let reason = "must be NAME=value, with quotes around a value that has spaces".to_owned();
    SettingsError::File { file, reason }
}
