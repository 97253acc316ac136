//! Codes: short opaque identifiers that a person can read out.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// The characters that a code is made of.
pub const CODE_ALPHABET: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

pub type UserCode = Code<16>;
pub type ConversationCode = Code<12>;
/// Unique within its conversation.
pub type MessageCode = Code<10>;

/// `N` characters of `A-Z0-9`, with no guessable order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code<const N: usize>([u8; N]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a code")]
pub struct NotACode;

impl<const N: usize> Code<N> {
    /// Takes random bytes as they come. A byte that would favour some characters over others
    /// (252 and above) is passed over; `None` when too few are left.
    pub fn from_random(bytes: impl IntoIterator<Item = u8>) -> Option<Self> {
        let mut code = [0; N];
        let mut fair = bytes.into_iter().filter(|byte| *byte < 252);
        for place in &mut code {
            *place = CODE_ALPHABET[usize::from(fair.next()? % 36)];
        }
        Some(Self(code))
    }

    pub fn as_str(&self) -> &str {
        // Only `from_random` and `from_str` make a code, and both take ASCII alone.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl<const N: usize> FromStr for Code<N> {
    type Err = NotACode;

    fn from_str(text: &str) -> Result<Self, NotACode> {
        let bytes: [u8; N] = text.as_bytes().try_into().map_err(|_| NotACode)?;
        let known = bytes.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        known.then_some(Self(bytes)).ok_or(NotACode)
    }
}

impl<const N: usize> fmt::Display for Code<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Code<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_character_is_as_likely_as_the_next() {
        let mut counts = [0; 256];
        for byte in 0..=u8::MAX {
            if let Some(code) = Code::<1>::from_random([byte]) {
                counts[usize::from(code.as_str().as_bytes()[0])] += 1;
            }
        }
        assert!(CODE_ALPHABET.iter().all(|c| counts[usize::from(*c)] == 7));
    }

    #[test]
    fn too_few_random_bytes_make_no_code() {
        assert!(Code::<4>::from_random([1, 2, 255, 3]).is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_the_code_that_it_says_or_none(text in "[A-Z0-9]{12}|\\PC{0,16}") {
            if let Ok(code) = text.parse::<Code<12>>() {
                prop_assert_eq!(code.as_str(), text);
            }
        }

        #[test]
        fn a_code_reads_back_as_itself(bytes in prop::array::uniform32(0u8..252)) {
            let code = Code::<16>::from_random(bytes).unwrap();
            prop_assert_eq!(code.to_string().parse::<Code<16>>(), Ok(code));
        }
    }
}
