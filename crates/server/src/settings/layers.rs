//! The layers of the configuration, laid over each other key by key.

use std::collections::BTreeMap;
use std::fmt;

use toml::{Table, Value};

use super::SettingsError;
use super::masked;

pub(super) const DEFAULTS: &str = "config/default.toml";
const MODELS: &str = "models";

/// What is in force for one key, and who said so.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) origin: String,
}

impl Entry {
    pub(super) fn is_default(&self) -> bool {
        self.origin == DEFAULTS
    }
}

/// All keys. Which there are, and of which type each is, is what the lowest layer says: it has
/// every key.
#[derive(Clone)]
pub(super) struct Layers(BTreeMap<String, Entry>);

impl Layers {
    /// The lowest layer.
    pub(super) fn on(defaults: &str) -> Result<Self, SettingsError> {
        let mut keys = Vec::new();
        flatten("", parse(DEFAULTS, defaults)?, &mut keys);
        let entry = |value| Entry { value, origin: DEFAULTS.to_owned() };
        Ok(Self(keys.into_iter().map(|(key, value)| (key, entry(value))).collect()))
    }

    /// Lays a TOML file over what is there.
    pub(super) fn lay_file(&mut self, file: &str, text: &str) -> Result<(), SettingsError> {
        let mut keys = Vec::new();
        flatten("", parse(file, text)?, &mut keys);
        keys.into_iter().try_for_each(|(key, value)| self.lay(&key, value, file))
    }

    /// Lays one value over what is there.
    pub(super) fn lay(
        &mut self,
        key: &str,
        value: Value,
        origin: &str,
    ) -> Result<(), SettingsError> {
        let entry = self.known(key, &value, origin)?;
        if let Some(expected) = mismatch(key, &entry.value, &value) {
            return Err(impossible(key, &value, origin, expected));
        }
        *entry = Entry { value, origin: origin.to_owned() };
        Ok(())
    }

    /// Lays a value over what is there that is written as a text, whatever its type: a variable's.
    pub(super) fn lay_text(
        &mut self,
        key: &str,
        text: &str,
        origin: &str,
    ) -> Result<(), SettingsError> {
        let given = Value::from(text);
        let entry = self.known(key, &given, origin)?;
        let value = match &entry.value {
            Value::Boolean(_) => flag(text).map(Value::from),
            Value::Integer(_) => text.trim().parse::<i64>().ok().map(Value::from),
            Value::Array(_) if key == MODELS => {
                parse(origin, &format!("{MODELS} = {text}"))?.remove(MODELS)
            }
            Value::Array(_) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(Value::Array(items.map(Value::from).collect()))
            }
            _ => Some(given.clone()),
        };
        let expected = expectation(key, &entry.value);
        let value = value.ok_or_else(|| impossible(key, &given, origin, expected))?;
        self.lay(key, value, origin)
    }

    /// Puts a value in the place of one that says the same in another way.
    pub(super) fn restate(&mut self, key: &str, value: impl Into<Value>) {
        if let Some(entry) = self.0.get_mut(key) {
            entry.value = value.into();
        }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// The key must be one that exists; that it is one is what every test of a start checks.
    pub(super) fn entry(&self, key: &str) -> &Entry {
        &self.0[key]
    }

    fn known(
        &mut self,
        key: &str,
        value: &Value,
        origin: &str,
    ) -> Result<&mut Entry, SettingsError> {
        self.0.get_mut(key).ok_or_else(|| SettingsError::Key {
            key: key.to_owned(),
            value: masked::of_unknown_key(value),
            origin: origin.to_owned(),
            reason: "there is no such key".to_owned(),
        })
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked::render(self))
    }
}

/// An error about a key that exists.
pub(super) fn impossible(
    key: &str,
    value: &Value,
    origin: &str,
    reason: impl Into<String>,
) -> SettingsError {
    SettingsError::Key {
        key: key.to_owned(),
        value: masked::in_one_line(key, value),
        origin: origin.to_owned(),
        reason: reason.into(),
    }
}

fn parse(file: &str, text: &str) -> Result<Table, SettingsError> {
    text.parse::<Table>().map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let reason = error.message().lines().collect::<Vec<_>>().join(", ");
        SettingsError::File { file: format!("{file}, line {line}"), reason }
    })
}

fn flatten(path: &str, table: Table, keys: &mut Vec<(String, Value)>) {
    for (name, value) in table {
        let key = if path.is_empty() { name } else { format!("{path}.{name}") };
        match value {
            Value::Table(table) => flatten(&key, table, keys),
            value => keys.push((key, value)),
        }
    }
}

/// What the value should have been, where it isn't.
fn mismatch(key: &str, default: &Value, value: &Value) -> Option<&'static str> {
    let item_fits = |item: &Value| if key == MODELS { item.is_table() } else { item.is_str() };
    let fits = match value {
        Value::Array(items) => default.is_array() && items.iter().all(item_fits),
        _ => default.same_type(value),
    };
    (!fits).then(|| expectation(key, default))
}

fn expectation(key: &str, default: &Value) -> &'static str {
    match default {
        Value::Boolean(_) => "must be true or false",
        Value::Integer(_) => "must be a whole number",
        Value::Array(_) if key == MODELS => "must be a list of tables",
        Value::Array(_) => "must be a list of texts",
        _ => "must be a text",
    }
}

/// What the field's tools take for yes and no.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}
