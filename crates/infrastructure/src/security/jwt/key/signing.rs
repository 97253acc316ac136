//! The half of a key that nobody else may know.

use std::fmt;

use aws_lc_rs::{
    error::Unspecified,
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RsaKeyPair,
    },
};
use jsonwebtoken::Algorithm;
use repartee_application::ports::{PublicKey, PublicKeyMaterial};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::{CheckingKey, public};

/// RFC 7518, 3.2: a key at least as long as the hash. Bytes.
const MIN_SECRET: usize = 32;
/// RFC 7518, 3.3. Bytes.
const MIN_MODULUS: usize = 2048 / 8;
/// The byte before an uncompressed point, and its two coordinates (SEC 1, 2.3.3).
const COORDINATE: usize = 32;

/// A key for access tokens, and the one algorithm that goes with it.
pub struct SigningKey {
    pair: Pair,
    public: Option<PublicKey>,
}

/// None of them holds what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    #[error("the secret for access tokens must have at least {MIN_SECRET} bytes")]
    WeakSecret,
    #[error("it is no private key in PEM, as PKCS#8 (BEGIN PRIVATE KEY)")]
    NotPem,
    #[error("the key must be of Ed25519, of P-256, or of RSA with at least 2048 bits")]
    Unsupported,
}

enum Pair {
    Secret(SecretString, Box<hmac::Key>),
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// Signs with HS256.
    ///
    /// # Errors
    /// [`KeyError::WeakSecret`] when it is shorter than 32 bytes.
    pub fn from_secret(secret: SecretString) -> Result<Self, KeyError> {
        let bytes = secret.expose_secret().as_bytes();
        if bytes.len() < MIN_SECRET {
            return Err(KeyError::WeakSecret);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        Ok(Self { pair: Pair::Secret(secret, Box::new(key)), public: None })
    }

    /// Signs with `EdDSA`, ES256 or RS256, as the key is of Ed25519, P-256 or RSA.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyError::NotPem)?;
        let pair = Pair::read(der.secret_pkcs8_der()).ok_or(KeyError::Unsupported)?;
        let material = pair.public().ok_or(KeyError::Unsupported)?;
        let public = PublicKey { id: public::thumbprint(&material), material };
        Ok(Self { pair, public: Some(public) })
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Secret(..) => Algorithm::HS256,
            Pair::Ed25519(_) => Algorithm::EdDSA,
            Pair::P256(_) => Algorithm::ES256,
            Pair::Rsa(_) => Algorithm::RS256,
        }
    }

    /// `None` for a secret.
    pub(crate) fn public(&self) -> Option<&PublicKey> {
        self.public.as_ref()
    }

    pub(crate) fn checking(&self) -> Option<CheckingKey> {
        match (&self.pair, &self.public) {
            (Pair::Secret(secret, _), _) => {
                Some(CheckingKey::of_secret(secret.expose_secret().as_bytes()))
            }
            (_, Some(public)) => Some(public::checking(public)),
            (_, None) => None,
        }
    }

    /// In the form that a token has it (RFC 7518, 3).
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Secret(_, key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::P256(pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
        }
    }
}

/// Shows nothing of the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}

impl Pair {
    /// DER as in PKCS#8 (RFC 5958).
    fn read(der: &[u8]) -> Option<Self> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            return Some(Self::Ed25519(pair));
        }
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            return Some(Self::P256(pair));
        }
        let pair = RsaKeyPair::from_pkcs8(der).ok()?;
        (pair.public_modulus_len() >= MIN_MODULUS).then_some(Self::Rsa(pair))
    }

    fn public(&self) -> Option<PublicKeyMaterial> {
        match self {
            Self::Secret(..) => None,
            Self::Ed25519(pair) => {
                Some(PublicKeyMaterial::Ed25519 { x: pair.public_key().as_ref().to_vec() })
            }
            Self::P256(pair) => {
                let (_, coordinates) = pair.public_key().as_ref().split_first()?;
                let (x, y) = coordinates.split_at_checked(COORDINATE)?;
                Some(PublicKeyMaterial::P256 { x: x.to_vec(), y: y.to_vec() })
            }
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let bytes = |number: aws_lc_rs::io::Positive<'_>| {
                    number.big_endian_without_leading_zero().to_vec()
                };
                let (modulus, exponent) = (bytes(public.modulus()), bytes(public.exponent()));
                Some(PublicKeyMaterial::Rsa { modulus, exponent })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_signs_safely_is_a_key() {
        let not_pem = ["", "nonsense", include_str!("../testdata/pkcs1.pem")];
        for pem in not_pem {
            assert_eq!(SigningKey::from_pem(pem.as_bytes()).err(), Some(KeyError::NotPem));
        }
        let others = [
            include_str!("../testdata/rsa1024.pem"),
            include_str!("../testdata/p384.pem"),
            "-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----\n",
        ];
        for pem in others {
            assert_eq!(SigningKey::from_pem(pem.as_bytes()).err(), Some(KeyError::Unsupported));
        }
        let short = SigningKey::from_secret("0".repeat(31).into());
        assert_eq!(short.err(), Some(KeyError::WeakSecret));
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        let secret = "0123456789abcdef0123456789abcdef";
        let key = SigningKey::from_secret(secret.into()).unwrap();
        assert!(!format!("{key:?}").contains(secret));
    }
}
