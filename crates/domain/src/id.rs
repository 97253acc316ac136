//! Typed identifiers: a `UserId` cannot be passed where a `ConversationId` is due.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::Code;

macro_rules! typed_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    )+};
}

typed_id!(
    UserId,
    /// A signed-in device. It outlives the refresh tokens that follow one another in it.
    LoginSessionId,
    /// One refresh token of a login session: spent by the next.
    RefreshTokenId,
    ConversationId,
    MessageId,
    /// A reply being written. Never the conversation's id, so that the stream of the next reply
    /// cannot be mistaken for this one's.
    GenerationId,
    /// A key for programs.
    ApiKeyId,
    /// Under which the bytes of a file are kept. Never shown.
    ObjectKey,
);

macro_rules! integer_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(i64);

        impl $name {
            pub const fn new(number: i64) -> Self {
                Self(number)
            }

            pub const fn get(self) -> i64 {
                self.0
            }

            /// In the place of a UUID, where things of every kind are kept alike.
            pub fn as_uuid(self) -> Uuid {
                Uuid::from_u64_pair(0, self.0.cast_unsigned())
            }

            /// As [`Self::as_uuid`] gave it; another UUID is the id of nothing.
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid.as_u64_pair().1.cast_signed())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

integer_id!(
    /// A persona of the catalogue.
    PersonaId,
    ProjectId,
    /// A prompt of a project.
    PromptId,
    FileId,
);

/// What a path may hold where it names a resource: its id, or its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference<Id, const N: usize> {
    Id(Id),
    Code(Code<N>),
}

impl<Id: FromStr, const N: usize> Reference<Id, N> {
    /// `None` for a text that is neither: no such resource can exist.
    pub fn parse(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(code) => Some(Self::Code(code)),
            Err(_) => text.parse().ok().map(Self::Id),
        }
    }
}

impl<Id, const N: usize> From<Id> for Reference<Id, N> {
    fn from(id: Id) -> Self {
        Self::Id(id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type ConversationReference = Reference<ConversationId, 12>;

    #[test]
    fn a_path_may_hold_the_id_or_the_code() {
        let id = ConversationId::from_uuid(Uuid::from_u128(7));

        assert_eq!(ConversationReference::parse(&id.to_string()), Some(Reference::Id(id)));
        assert!(matches!(
            ConversationReference::parse("ABCDEF012345"),
            Some(Reference::Code(code)) if code.as_str() == "ABCDEF012345"
        ));
    }

    #[test]
    fn anything_else_names_nothing() {
        for text in ["", "abcdef012345", "ABCDEF01234", "ABCDEF0123456", "ABCDEF-12345", "🙂"] {
            assert_eq!(ConversationReference::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_number_is_kept_in_the_place_of_a_uuid(number: i64) {
            let id = PersonaId::new(number);
            prop_assert_eq!(PersonaId::from_uuid(id.as_uuid()), id);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn any_text_names_something_or_nothing(
            text in "\\PC{0,40}|[0-9a-fA-F{}-]{30,40}|[A-Z0-9]{12}",
        ) {
            match ConversationReference::parse(&text) {
                Some(Reference::Code(code)) => prop_assert_eq!(code.as_str(), text),
                Some(Reference::Id(id)) => {
                    let again = ConversationReference::parse(&id.to_string());
                    prop_assert_eq!(again, Some(Reference::Id(id)));
                }
                None => {}
            }
        }
    }
}
