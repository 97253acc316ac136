//! A person with an account.

use chrono::{DateTime, Utc};

use super::{Email, Role, Username};
use crate::{FieldError, Text, UserCode, UserId, Version};

const MAX_NAME: usize = 100;
const MAX_LANGUAGE: usize = 35; // BCP 47 (RFC 5646, 4.4.1)
const MAX_PREFERENCES_BYTES: usize = 16 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub code: UserCode,
    pub email: Email,
    pub role: Role,
    pub is_active: bool,
    pub profile: Profile,
    pub email_verified_at: Option<DateTime<Utc>>,
    pub last_login_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: Version,
}

/// What a user decides about themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    pub username: Option<Username>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub language: Option<String>,
    /// A JSON object, kept as text: its meaning is the client's.
    pub preferences: Option<String>,
}

/// `None` leaves a field as it is; `Some(None)` empties it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileChanges {
    pub username: Option<Option<String>>,
    pub first_name: Option<Option<String>>,
    pub last_name: Option<Option<String>>,
    pub language: Option<Option<String>>,
    pub preferences: Option<Option<String>>,
}

impl User {
    /// Who owns a guest's conversation: nobody that can log in or be written to (RFC 2606, 2).
    pub fn guest(id: UserId, code: UserCode, now: DateTime<Utc>) -> Self {
        Self {
            id,
            code,
            email: Email::from_stored(format!("{id}@guest.invalid")),
            role: Role::Guest,
            is_active: true,
            profile: Profile::default(),
            email_verified_at: None,
            last_login_at: None,
            created_at: now,
            updated_at: now,
            version: Version::FIRST,
        }
    }
}

impl Profile {
    /// The names of the fields that another profile has otherwise.
    pub fn differing(&self, other: &Self) -> Vec<&'static str> {
        let fields = [
            ("username", self.username != other.username),
            ("first_name", self.first_name != other.first_name),
            ("last_name", self.last_name != other.last_name),
            ("language", self.language != other.language),
            ("preferences", self.preferences != other.preferences),
        ];
        fields.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }

    /// The profile with the changes made, or everything that is wrong with them.
    pub fn with(&self, changes: ProfileChanges) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut checked = |result: Result<Option<String>, FieldError>, old: &Option<String>| {
            result.unwrap_or_else(|error| {
                errors.push(error);
                old.clone()
            })
        };
        let first_name = match changes.first_name {
            Some(new) => checked(bounded("first_name", new, MAX_NAME), &self.first_name),
            None => self.first_name.clone(),
        };
        let last_name = match changes.last_name {
            Some(new) => checked(bounded("last_name", new, MAX_NAME), &self.last_name),
            None => self.last_name.clone(),
        };
        let language = match changes.language {
            Some(new) => checked(language(new), &self.language),
            None => self.language.clone(),
        };
        let preferences = match changes.preferences {
            Some(new) => {
                checked(bounded("preferences", new, MAX_PREFERENCES_BYTES), &self.preferences)
            }
            None => self.preferences.clone(),
        };
        let username = match changes.username {
            None => self.username.clone(),
            Some(None) => None,
            Some(Some(name)) => match Username::parse(&name) {
                Ok(name) => Some(name),
                Err(error) => {
                    errors.push(error);
                    None
                }
            },
        };
        if errors.is_empty() {
            Ok(Self { username, first_name, last_name, language, preferences })
        } else {
            Err(errors)
        }
    }
}

fn bounded(
    field: &'static str,
    text: Option<String>,
    max: usize,
) -> Result<Option<String>, FieldError> {
    match text {
        None => Ok(None),
        Some(text) => Text::parse_or_empty(text, max)
            .map(|text| Some(text.into_string()))
            .map_err(|error| error.in_field(field)),
    }
}

/// A BCP 47 tag by its shape: letters, digits and hyphens.
fn language(tag: Option<String>) -> Result<Option<String>, FieldError> {
    match tag {
        Some(tag)
            if tag.is_empty()
                || tag.len() > MAX_LANGUAGE
                || !tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') =>
        {
            Err(FieldError::new("language", "invalid", "must be a language tag, like en or pt-BR"))
        }
        tag => Ok(tag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_fields_change() {
        let profile = Profile {
            first_name: Some("Ada".into()),
            last_name: Some("King".into()),
            ..Profile::default()
        };
        let changes = ProfileChanges {
            last_name: Some(Some("Lovelace".into())),
            first_name: None,
            ..ProfileChanges::default()
        };

        let changed = profile.with(changes).unwrap();

        assert_eq!(changed.first_name.as_deref(), Some("Ada"));
        assert_eq!(changed.last_name.as_deref(), Some("Lovelace"));
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let changes = ProfileChanges {
            username: Some(Some("a@b".into())),
            first_name: Some(Some("x".repeat(101))),
            language: Some(Some("no such tag".into())),
            ..ProfileChanges::default()
        };

        let errors = Profile::default().with(changes).unwrap_err();

        let fields: Vec<_> = errors.iter().map(|error| error.field).collect();
        assert_eq!(fields, ["first_name", "language", "username"]);
    }
}
