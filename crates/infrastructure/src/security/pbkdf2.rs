//! Password hashes of an imported user base: PBKDF2-HMAC-SHA256 (RFC 8018, 5.2) in passlib's
//! format, `$pbkdf2-sha256$rounds$salt$checksum`.
//!
//! Salt and checksum are in passlib's "adapted base64": the standard alphabet with `.` for `+`,
//! and no padding.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{PBKDF2_HMAC_SHA256, verify};
use base64::{
    Engine,
    alphabet::Alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

const PREFIX: &str = "$pbkdf2-sha256$";
/// Whoever logs in makes the server pay for them: about half a second.
const MOST_ROUNDS: u32 = 2_000_000;
/// Bytes. Passlib takes salts of up to 1024.
const MOST_SALT: usize = 1024;

pub(super) struct Pbkdf2Hash {
    rounds: NonZeroU32,
    salt: Vec<u8>,
    checksum: [u8; 32],
}

impl Pbkdf2Hash {
    /// `None` for anything else, and for what would cost too much.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(PREFIX)?.split('$');
        let (rounds, salt, checksum) = (parts.next()?, parts.next()?, parts.next()?);
        let is_number = !rounds.starts_with('0') && rounds.bytes().all(|b| b.is_ascii_digit());
        let rounds: NonZeroU32 = rounds.parse().ok()?;
        let salt = decode(salt)?;
        let checksum = decode(checksum)?.try_into().ok()?;
        let is_good = parts.next().is_none()
            && is_number
            && rounds.get() <= MOST_ROUNDS
            && salt.len() <= MOST_SALT;
        is_good.then_some(Self { rounds, salt, checksum })
    }

    /// In constant time, once hashed.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        verify(PBKDF2_HMAC_SHA256, self.rounds, &self.salt, password, &self.checksum).is_ok()
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    const ADAPTED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./";
    let alphabet = Alphabet::new(ADAPTED).ok()?;
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    GeneralPurpose::new(&alphabet, config).decode(text).ok()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::pbkdf2::derive;
    use base64::prelude::BASE64_STANDARD_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    /// As passlib writes it.
    fn written(rounds: u32, salt: &[u8], password: &[u8]) -> String {
        let mut checksum = [0; 32];
        let rounds = NonZeroU32::new(rounds).unwrap();
        derive(PBKDF2_HMAC_SHA256, rounds, salt, password, &mut checksum);
        let adapted = |bytes: &[u8]| BASE64_STANDARD_NO_PAD.encode(bytes).replace('+', ".");
        format!("{PREFIX}{rounds}${}${}", adapted(salt), adapted(&checksum))
    }

    #[test]
    fn what_is_no_hash_and_what_costs_too_much_is_refused() {
        let good = written(1000, b"a salt", b"x");
        assert!(Pbkdf2Hash::parse(&good).is_some());
        for bad in [
            good.replace("1000", "2000001"),
            good.replace("1000", "0"),
            good.replace("1000", "01000"),
            good.replace("1000", "+1000"),
            good.replace("1000", ""),
            good.replace("sha256", "sha512"),
            format!("{good}$"),
            format!("{good}A"),
            format!("{good}="),
            good.replace(PREFIX, "$pbkdf2$"),
            String::new(),
        ] {
            assert!(Pbkdf2Hash::parse(&bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_hash_matches_its_password_alone(
            rounds in 1_u32..20,
            salt in prop::collection::vec(any::<u8>(), 0..40),
            password in ".{0,20}",
            other in ".{0,20}",
        ) {
            let hash = Pbkdf2Hash::parse(&written(rounds, &salt, password.as_bytes())).unwrap();
            prop_assert!(hash.matches(password.as_bytes()));
            // HMAC (RFC 2104, 2) fills a short key up with zeros.
            let same = password.trim_end_matches('\0') == other.trim_end_matches('\0');
            prop_assert_eq!(hash.matches(other.as_bytes()), same);
        }

        #[test]
        fn no_text_is_too_strange_to_be_looked_at(text in "\\PC{0,60}") {
            let _ = Pbkdf2Hash::parse(&text);
            let _ = Pbkdf2Hash::parse(&format!("{PREFIX}{text}"));
        }
    }
}
