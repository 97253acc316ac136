//! Reads typed values out of the layers; what is impossible becomes an error with its source.

use std::ops::RangeInclusive;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::SettingsError;
use super::layers::{Layers, impossible};

/// The type of each value has been checked where it was laid.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) layers: &'a Layers,
}

impl<'a> Reader<'a> {
    pub(super) fn text(self, key: &str) -> &'a str {
        self.layers.entry(key).value.as_str().unwrap_or_default()
    }

    /// `None` for an empty text.
    pub(super) fn given(self, key: &str) -> Option<&'a str> {
        Some(self.text(key)).filter(|text| !text.is_empty())
    }

    /// A text that may not be blank.
    pub(super) fn required(self, key: &str) -> Result<String, SettingsError> {
        let text = self.text(key).trim();
        if text.is_empty() {
            return Err(self.impossible(key, "must not be empty"));
        }
        Ok(text.to_owned())
    }

    pub(super) fn secret(self, key: &str) -> Option<SecretString> {
        self.given(key).map(SecretString::from)
    }

    pub(super) fn flag(self, key: &str) -> bool {
        self.layers.entry(key).value.as_bool().unwrap_or_default()
    }

    pub(super) fn list(self, key: &str) -> impl Iterator<Item = &'a str> {
        self.layers.entry(key).value.as_array().into_iter().flatten().filter_map(|v| v.as_str())
    }

    pub(super) fn number<T: TryFrom<i64>>(
        self,
        key: &str,
        range: RangeInclusive<i64>,
    ) -> Result<T, SettingsError> {
        let number = self.layers.entry(key).value.as_integer();
        number.filter(|number| range.contains(number)).and_then(|n| T::try_from(n).ok()).ok_or_else(
            || self.impossible(key, format!("must be from {} to {}", range.start(), range.end())),
        )
    }

    /// `None` for 0, which leaves it to the machine.
    pub(super) fn number_or_auto(
        self,
        key: &str,
        max: i64,
    ) -> Result<Option<usize>, SettingsError> {
        Ok(Some(self.number(key, 0..=max)?).filter(|number| *number > 0))
    }

    pub(super) fn duration(
        self,
        key: &str,
        unit: Duration,
        range: RangeInclusive<i64>,
    ) -> Result<Duration, SettingsError> {
        Ok(unit * self.number::<u32>(key, range)?)
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        self,
        key: &str,
        choices: &[(&str, T)],
    ) -> Result<T, SettingsError> {
        let word = self.text(key).trim().to_lowercase();
        let chosen = choices.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        chosen.ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.impossible(key, format!("must be {}", one_of(&names)))
        })
    }

    /// A URL with a host and one of these schemes; `None` where none is given.
    pub(super) fn url(self, key: &str, schemes: &[&str]) -> Result<Option<Url>, SettingsError> {
        let Some(text) = self.given(key) else { return Ok(None) };
        let url = Url::parse(text.trim())
            .ok()
            .filter(|url| schemes.contains(&url.scheme()) && url.has_host());
        let expected = || {
            let schemes: Vec<_> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
            let schemes: Vec<_> = schemes.iter().map(String::as_str).collect();
            self.impossible(key, format!("must be a URL that begins with {}", one_of(&schemes)))
        };
        url.map(Some).ok_or_else(expected)
    }

    pub(super) fn impossible(self, key: &str, reason: impl Into<String>) -> SettingsError {
        let entry = self.layers.entry(key);
        impossible(key, &entry.value, &entry.origin, reason)
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn one_of(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
