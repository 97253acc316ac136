//! Text as people write it: any Unicode, bounded, without NUL.

use thiserror::Error;

use crate::FieldError;

/// Text that may be stored: PostgreSQL cannot hold NUL, and nothing here is unbounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TextError {
    #[error("must not be empty")]
    Empty,
    #[error("must be at most {max} characters")]
    TooLong { max: usize },
    #[error("must not contain the NUL character")]
    Nul,
}

impl Text {
    /// Keeps the text exactly as written. `max` counts characters (Unicode scalar values).
    pub fn parse(text: String, max: usize) -> Result<Self, TextError> {
        if text.trim().is_empty() {
            return Err(TextError::Empty);
        }
        Self::parse_or_empty(text, max)
    }

    /// As [`Text::parse`], where no text at all is fine.
    pub fn parse_or_empty(text: String, max: usize) -> Result<Self, TextError> {
        if text.contains('\0') {
            return Err(TextError::Nul);
        }
        // A text is never longer in characters than in bytes, so most need no counting.
        if text.len() > max && text.chars().count() > max {
            return Err(TextError::TooLong { max });
        }
        Ok(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

impl TextError {
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "required",
            Self::TooLong { .. } => "too_long",
            Self::Nul => "invalid",
        }
    }

    pub fn in_field(self, field: &'static str) -> FieldError {
        FieldError::new(field, self.code(), self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_counts_characters_not_bytes() {
        assert!(Text::parse("สวัสดี".into(), 6).is_ok());
        assert_eq!(Text::parse("สวัสดีค".into(), 6), Err(TextError::TooLong { max: 6 }));
    }

    #[test]
    fn text_is_kept_as_written() {
        let written = "  שלום 👩‍👩‍👧 \n";
        assert_eq!(Text::parse(written.into(), 100).map(Text::into_string), Ok(written.into()));
    }

    #[test]
    fn blank_text_and_nul_are_refused() {
        assert_eq!(Text::parse(" \n\t".into(), 9), Err(TextError::Empty));
        assert_eq!(Text::parse("a\0b".into(), 9), Err(TextError::Nul));
    }
}
