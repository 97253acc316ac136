//! What a password must be.

use unicode_normalization::UnicodeNormalization;

use super::{Email, Username};
use crate::FieldError;

/// The default follows the contract; the strict profile follows NIST SP 800-63B-4 (15 characters,
/// no rule of composition).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordPolicy {
    pub min_length: usize,
    pub max_length: usize,
    pub require_letter_and_digit: bool,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { min_length: 8, max_length: 256, require_letter_and_digit: true }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordProblem {
    TooShort { min: usize },
    TooLong { max: usize },
    TooSimple,
    Common,
    OwnName,
}

impl PasswordPolicy {
    /// The form in which a password is checked and hashed: NFKC, so that two keyboards that write
    /// the same characters differently log in alike.
    pub fn normalise(password: &str) -> String {
        password.nfkc().collect()
    }

    /// Checks a normalised password. Lengths are in characters. `is_common` tells whether it is
    /// among the passwords that are tried first.
    pub fn check(
        &self,
        password: &str,
        email: Option<&Email>,
        username: Option<&Username>,
        is_common: impl Fn(&str) -> bool,
    ) -> Result<(), PasswordProblem> {
        let length = password.chars().count();
        if length < self.min_length {
            return Err(PasswordProblem::TooShort { min: self.min_length });
        }
        if length > self.max_length {
            return Err(PasswordProblem::TooLong { max: self.max_length });
        }
        let has_both =
            password.chars().any(char::is_alphabetic) && password.chars().any(char::is_numeric);
        if self.require_letter_and_digit && !has_both {
            return Err(PasswordProblem::TooSimple);
        }
        let folded = password.to_lowercase();
        let is_own = email.is_some_and(|e| folded == e.as_str() || folded == e.local_part())
            || username.is_some_and(|name| folded == name.key());
        if is_own {
            return Err(PasswordProblem::OwnName);
        }
        if is_common(&folded) || is_common(password) {
            return Err(PasswordProblem::Common);
        }
        Ok(())
    }
}

impl PasswordProblem {
    pub fn in_field(self, field: &'static str) -> FieldError {
        let (code, detail) = match self {
            Self::TooShort { min } => ("too_short", format!("must have at least {min} characters")),
            Self::TooLong { max } => ("too_long", format!("must have at most {max} characters")),
            Self::TooSimple => ("too_simple", "must have a letter and a digit".to_owned()),
            Self::Common => {
                ("too_common", "is among the most used passwords: choose another".to_owned())
            }
            Self::OwnName => ("own_name", "must not be your own name or address".to_owned()),
        };
        FieldError::new(field, code, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str) -> Result<(), PasswordProblem> {
        let email = Email::parse("lovelace1815@example.com").unwrap();
        let name = Username::parse("Countess1").unwrap();
        PasswordPolicy::default().check(
            &PasswordPolicy::normalise(password),
            Some(&email),
            Some(&name),
            |p| p == "password1",
        )
    }

    #[test]
    fn eight_characters_with_a_letter_and_a_digit_will_do() {
        assert_eq!(check("tr0ubadour"), Ok(()));
        assert_eq!(check("Ключ12345"), Ok(()));
    }

    #[test]
    fn weak_passwords_are_refused_with_their_reason() {
        assert_eq!(check("a1b2c3d"), Err(PasswordProblem::TooShort { min: 8 }));
        assert_eq!(check(&"a1".repeat(129)), Err(PasswordProblem::TooLong { max: 256 }));
        assert_eq!(check("justletters"), Err(PasswordProblem::TooSimple));
        assert_eq!(check("1234567890"), Err(PasswordProblem::TooSimple));
        assert_eq!(check("PassWord1"), Err(PasswordProblem::Common));
        assert_eq!(check("LoveLace1815"), Err(PasswordProblem::OwnName));
        assert_eq!(check("countess1"), Err(PasswordProblem::OwnName));
    }

    #[test]
    fn two_ways_of_writing_the_same_characters_are_one_password() {
        assert_eq!(PasswordPolicy::normalise("e\u{301}t\u{e9}\u{ff11}"), "\u{e9}t\u{e9}1");
    }
}
