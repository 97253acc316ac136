//! E-mail addresses.

use crate::FieldError;

const MAX_LENGTH: usize = 254; // RFC 5321, 4.5.3.1.3
const MAX_LOCAL: usize = 64; // RFC 5321, 4.5.3.1.1

/// An address, case-folded, so that one person cannot register twice by writing it differently.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    /// Accepts what can be an address: one `@`, something before it, a dotted name behind it.
    /// Whether mail arrives there is only known once it does.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let folded = text.trim().to_lowercase();
        if folded.is_empty() {
            return Err(FieldError::new("email", "required", "must not be empty"));
        }
        let plausible = folded.len() <= MAX_LENGTH
            && !folded
                .chars()
                .any(|c| c.is_whitespace() || c.is_control() || "<>()[],;:\\\"".contains(c))
            && folded.rsplit_once('@').is_some_and(|(local, host)| {
                !local.is_empty()
                    && local.len() <= MAX_LOCAL
                    && !local.contains('@')
                    && !local.starts_with('.')
                    && !local.ends_with('.')
                    && !local.contains("..")
                    && host.contains('.')
                    && host.split('.').all(|label| {
                        !label.is_empty()
                            && label.len() <= 63
                            && !label.starts_with('-')
                            && !label.ends_with('-')
                            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
                    })
            });
        if plausible {
            Ok(Self(folded))
        } else {
            Err(FieldError::new(
                "email",
                "invalid",
                "must be an e-mail address, like ada@example.com",
            ))
        }
    }

    /// An address that was stored: it was parsed when it came in.
    pub fn from_stored(address: String) -> Self {
        Self(address)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`.
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_surrounding_space_do_not_make_another_address() {
        assert_eq!(Email::parse(" Ada@Example.COM "), Email::parse("ada@example.com"));
    }

    #[test]
    fn what_cannot_be_an_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        for text in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "ada@example",
            "a@b@example.com",
            "a b@example.com",
            "ada@.com",
            "ada@example..com",
            ".ada@example.com",
            "<ada@example.com>",
            "ada@-example.com",
            "a\u{0}b@example.com",
            &long,
        ] {
            assert!(Email::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn unusual_addresses_are_accepted() {
        for text in ["o'hara+chat@example.co.uk", "用户@例子.公司", "a@1.io"] {
            assert!(Email::parse(text).is_ok(), "{text}");
        }
    }
}
