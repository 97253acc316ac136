//! What a user thinks of a reply.

use std::str::FromStr;

use chrono::{DateTime, Utc};

use super::UnknownName;
use crate::{FieldError, Text};

const MAX_COMMENT: usize = 2_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    pub rating: Rating,
    pub comment: Option<String>,
    pub at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rating {
    Up,
    Down,
}

impl Feedback {
    /// A comment of nothing but white space is none.
    pub fn give(
        rating: Rating,
        comment: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<Self, FieldError> {
        let comment = comment.filter(|comment| !comment.trim().is_empty());
        let comment = comment.map(|comment| Text::parse(comment, MAX_COMMENT)).transpose();
        let comment = comment.map_err(|error| error.in_field("comment"))?;
        Ok(Self { rating, comment: comment.map(Text::into_string), at: now })
    }
}

impl Rating {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl FromStr for Rating {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "up" => Ok(Self::Up),
            "down" => Ok(Self::Down),
            _ => Err(UnknownName),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_has_an_end_and_none_is_none() {
        let give =
            |comment: &str| Feedback::give(Rating::Up, Some(comment.into()), DateTime::UNIX_EPOCH);
        assert_eq!(give("Thanks").unwrap().comment.as_deref(), Some("Thanks"));
        assert_eq!(give(" \n").unwrap().comment, None);
        assert_eq!(give(&"é".repeat(2_000)).unwrap().rating, Rating::Up);
        assert_eq!(give(&"é".repeat(2_001)).unwrap_err().field, "comment");
    }

    #[test]
    fn ratings_have_names() {
        for rating in [Rating::Up, Rating::Down] {
            assert_eq!(rating.as_str().parse(), Ok(rating));
        }
        assert!("sideways".parse::<Rating>().is_err());
    }
}
