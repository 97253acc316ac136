//! Names that people choose for themselves.

use crate::FieldError;

const MAX_LENGTH: usize = 64;

/// Kept as written; compared by [`Username::key`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// 1 to 64 characters, no control characters and no `@`, so that no name can be taken for an
    /// address at log-in.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let name = text.trim();
        let refuse = |code, detail| Err(FieldError::new("username", code, detail));
        if name.is_empty() {
            return refuse("required", "must not be empty");
        }
        if name.chars().count() > MAX_LENGTH {
            return refuse("too_long", "must be at most 64 characters");
        }
        if name.contains('@') || name.chars().any(char::is_control) {
            return refuse("invalid", "must not contain @ or control characters");
        }
        Ok(Self(name.to_owned()))
    }

    /// A name that was stored: it was parsed when it came in.
    pub fn from_stored(name: String) -> Self {
        Self(name)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What must be unique: the name, case-folded.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_as_written_and_compared_without_case() {
        let name = Username::parse(" Ada Lovelace ").unwrap();
        assert_eq!((name.as_str(), name.key().as_str()), ("Ada Lovelace", "ada lovelace"));
    }

    #[test]
    fn a_name_is_never_an_address() {
        assert_eq!(Username::parse("ada@example.com").unwrap_err().code, "invalid");
    }
}
