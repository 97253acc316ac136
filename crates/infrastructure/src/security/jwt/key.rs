//! Keys that tokens are signed and checked with. Each has one algorithm, whatever a token says.

mod public;
mod signing;

use jsonwebtoken::{Algorithm, DecodingKey, Header, TokenData, Validation};
use serde::de::DeserializeOwned;

pub use self::signing::{KeyError, SigningKey};

/// Nothing longer is worth parsing. Ours have about 500 bytes, 700 where they are signed with RSA.
const MAX_TOKEN: usize = 8 * 1024;

/// Checks signatures.
pub(crate) struct CheckingKey {
    /// `kid`.
    pub(crate) id: Option<String>,
    key: DecodingKey,
    validation: Validation,
}

impl CheckingKey {
    pub(crate) fn new(id: Option<String>, algorithm: Algorithm, key: DecodingKey) -> Self {
        // The library looks at algorithm and signature; it would read the machine's clock for the
        // rest.
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        Self { id, key, validation }
    }

    pub(crate) fn of_secret(secret: &[u8]) -> Self {
        Self::new(None, Algorithm::HS256, DecodingKey::from_secret(secret))
    }

    /// The claims of a token that is signed with this key and its algorithm.
    pub(crate) fn open<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        let token: TokenData<T> = jsonwebtoken::decode(token, &self.key, &self.validation).ok()?;
        Some(token.claims)
    }
}

/// The header of a token that may be worth checking: none that brings or names a key of its own,
/// and none that says it has to be understood in some other way (RFC 8725, 3.10).
pub(crate) fn plain_header(token: &str) -> Option<Header> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let header = jsonwebtoken::decode_header(token).ok()?;
    let brings_key = header.jku.is_some()
        || header.jwk.is_some()
        || header.x5u.is_some()
        || header.x5c.is_some()
        || header.x5t.is_some()
        || header.x5t_s256.is_some();
    let is_special = header.crit.is_some() || header.enc.is_some() || header.zip.is_some();
    (!brings_key && !is_special).then_some(header)
}

/// The `typ` of a header without the `application/` that may be left out (RFC 7515, 4.1.9).
pub(crate) fn media_type(header: &Header) -> Option<String> {
    let typ = header.typ.as_deref()?.to_ascii_lowercase();
    Some(typ.strip_prefix("application/").unwrap_or(&typ).to_owned())
}
