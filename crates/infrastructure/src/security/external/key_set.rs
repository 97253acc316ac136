//! Keys as an issuer publishes them.

use std::str::FromStr;

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

use crate::security::jwt::CheckingKey;

/// More are not looked at.
const MOST: usize = 100;

/// The keys of a JWK set (RFC 7517, 5) that signatures can be checked with.
#[derive(Default)]
pub struct KeySet(Vec<CheckingKey>);

#[derive(Deserialize)]
struct Published {
    keys: Vec<Value>,
}

impl KeySet {
    /// Keys that are not understood, or are for something else, are left out.
    ///
    /// # Errors
    /// When it is no JWK set.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let published: Published = serde_json::from_slice(json)?;
        Ok(Self(published.keys.into_iter().take(MOST).filter_map(checking).collect()))
    }

    /// The key with that id; for a token that names none, the only one.
    pub(super) fn find(&self, id: Option<&str>) -> Option<&CheckingKey> {
        match (id, self.0.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(id), keys) => keys.iter().find(|key| key.id.as_deref() == Some(id)),
        }
    }
}

fn checking(published: Value) -> Option<CheckingKey> {
    let jwk: Jwk = serde_json::from_value(published).ok()?;
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let algorithm = algorithm(&jwk)?;
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some(CheckingKey::new(jwk.common.key_id, algorithm, key))
}

/// The one that the key says; where it says none, the usual one for its kind. Never one of a
/// secret: what is published is none.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let (family, usual) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (AlgorithmFamily::Rsa, Algorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => (AlgorithmFamily::Ec, Algorithm::ES256),
            EllipticCurve::P384 => (AlgorithmFamily::Ec, Algorithm::ES384),
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(_) => (AlgorithmFamily::Ed, Algorithm::EdDSA),
        _ => return None,
    };
    let Some(said) = jwk.common.key_algorithm else { return Some(usual) };
    let said = Algorithm::from_str(&said.to_string()).ok()?;
    let is_fitting = if family == AlgorithmFamily::Rsa {
        said.family() == AlgorithmFamily::Rsa
    } else {
        said == usual
    };
    is_fitting.then_some(said)
}
