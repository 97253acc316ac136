//! The half of a key that anyone may know.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, DecodingKey};
use repartee_application::ports::{PublicKey, PublicKeyMaterial};
use sha2::{Digest, Sha256};

use super::CheckingKey;

/// The id of a key: the SHA-256 of what it has to say, in one fixed order (RFC 7638, 3; for
/// Ed25519: RFC 8037, 2).
pub(super) fn thumbprint(material: &PublicKeyMaterial) -> String {
    let text = match material {
        PublicKeyMaterial::Ed25519 { x } => {
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, BASE64.encode(x))
        }
        PublicKeyMaterial::P256 { x, y } => {
            let (x, y) = (BASE64.encode(x), BASE64.encode(y));
            format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
        }
        PublicKeyMaterial::Rsa { modulus, exponent } => {
            let (n, e) = (BASE64.encode(modulus), BASE64.encode(exponent));
            format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
        }
    };
    BASE64.encode(Sha256::digest(text))
}

/// What checks signatures that were made with the other half.
pub(super) fn checking(public: &PublicKey) -> CheckingKey {
    let (algorithm, key) = match &public.material {
        PublicKeyMaterial::Ed25519 { x } => (Algorithm::EdDSA, DecodingKey::from_ed_der(x)),
        PublicKeyMaterial::P256 { x, y } => {
            // Uncompressed (SEC 1, 2.3.3).
            let point = [&[4], x.as_slice(), y].concat();
            (Algorithm::ES256, DecodingKey::from_ec_der(&point))
        }
        PublicKeyMaterial::Rsa { modulus, exponent } => {
            (Algorithm::RS256, DecodingKey::from_rsa_raw_components(modulus, exponent))
        }
    };
    CheckingKey::new(Some(public.id.clone()), algorithm, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        BASE64.decode(text).unwrap()
    }

    #[test]
    fn a_thumbprint_is_that_of_the_standards_examples() {
        // RFC 7638, 3.1
        let modulus = bytes(
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJ\
             ECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2\
             QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQF\
             h6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        );
        let rsa = PublicKeyMaterial::Rsa { modulus, exponent: bytes("AQAB") };
        assert_eq!(thumbprint(&rsa), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        // RFC 8037, A.3
        let x = bytes("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        let ed25519 = PublicKeyMaterial::Ed25519 { x };
        assert_eq!(thumbprint(&ed25519), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
