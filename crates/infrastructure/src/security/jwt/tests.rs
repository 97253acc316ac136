//! What is let in, and how much is not, with a secret and with a key pair.

mod mutations;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use proptest::prelude::*;
use repartee_application::ports::PublicKeyMaterial;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;

const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const ED25519: &str = include_str!("testdata/ed25519.pem");
const OTHER_ED25519: &str = include_str!("testdata/ed25519-other.pem");
const P256: &str = include_str!("testdata/p256.pem");
const RSA: &str = include_str!("testdata/rsa2048.pem");

fn secret(secret: &str) -> SigningKey {
    SigningKey::from_secret(secret.into()).unwrap()
}

fn pem(pem: &str) -> SigningKey {
    SigningKey::from_pem(pem.as_bytes()).unwrap()
}

fn signer_with(key: SigningKey, issuer: &str, audience: &str) -> JwtSigner {
    let (issuer, audience) = (issuer.into(), audience.into());
    JwtSigner::new(JwtSettings { key, previous_keys: Vec::new(), issuer, audience })
}

fn signer(key: SigningKey) -> JwtSigner {
    signer_with(key, "https://chat.example", "repartee")
}

/// One of each kind.
fn keys() -> [SigningKey; 4] {
    [secret(SECRET), pem(ED25519), pem(P256), pem(RSA)]
}

fn access() -> AccessClaims {
    AccessClaims {
        user: UserId::from_uuid(Uuid::from_u128(1)),
        holder: Holder::Session(LoginSessionId::from_uuid(Uuid::from_u128(2))),
        token: Uuid::from_u128(3),
        issued_at: NOW,
        expires_at: NOW + TimeDelta::minutes(30),
    }
}

fn of_key() -> AccessClaims {
    let id = ApiKeyId::from_uuid(Uuid::from_u128(4));
    AccessClaims { holder: Holder::Key { id, scopes: "chat read".parse().unwrap() }, ..access() }
}

fn claims() -> Value {
    json!({
        "iss": "https://chat.example", "aud": "repartee", "sub": Uuid::from_u128(1),
        "exp": NOW.timestamp() + 1800, "iat": NOW.timestamp(), "nbf": NOW.timestamp(),
        "jti": Uuid::from_u128(3), "sid": Uuid::from_u128(2),
    })
}

/// Of a token that is signed with this key.
fn header(key: &SigningKey) -> Value {
    let header = json!({"typ": "at+jwt", "alg": format!("{:?}", key.algorithm())});
    match key.public() {
        Some(public) => with(header, "kid", json!(public.id)),
        None => header,
    }
}

/// A token whose signature is right, whatever it says: what a stolen key or another use of the
/// same key would make.
fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    signed_text(key, &header.to_string(), &claims.to_string())
}

fn signed_text(key: &SigningKey, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

/// The object with one member changed, or, for `null`, left out.
fn with(mut object: Value, name: &str, value: Value) -> Value {
    let members = object.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name)
    } else {
        members.insert(name.to_owned(), value)
    };
    object
}

#[test]
fn what_was_signed_reads_back() {
    for key in keys() {
        let signer = signer(key);
        for claims in [access(), of_key()] {
            let token = signer.sign(&claims).unwrap();
            assert_eq!(signer.verify(token.expose_secret(), NOW), Some(claims));
        }
    }
}

#[test]
fn it_has_the_header_and_the_claims_of_the_profile() {
    for key in keys() {
        let expected = header(&key);
        let token = signer(key).sign(&access()).unwrap();
        let parts: Vec<Value> = token
            .expose_secret()
            .split('.')
            .take(2)
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        assert_eq!(parts, [expected, claims()]);
    }
}

#[test]
fn what_another_library_signs_with_the_same_key_is_good() {
    for key in keys() {
        let again = with(header(&key), "typ", json!("application/AT+JWT"));
        let tokens = [header(&key), again].map(|header| signed(&key, &header, &claims()));
        let signer = signer(key);
        assert!(tokens.iter().all(|token| signer.verify(token, NOW) == Some(access())));
    }
}

#[test]
fn thirty_seconds_either_way_are_let_pass() {
    let signer = signer(secret(SECRET));
    let token = signer.sign(&access()).unwrap();
    let is_good =
        |seconds| signer.verify(token.expose_secret(), NOW + TimeDelta::seconds(seconds)).is_some();
    assert!(!is_good(-31) && is_good(-30) && is_good(1829) && !is_good(1830));
}

#[test]
fn a_key_that_was_changed_checks_what_it_signed_and_signs_no_more() {
    let old = signer(pem(ED25519)).sign(&access()).unwrap();
    let signer = JwtSigner::new(JwtSettings {
        key: pem(P256),
        previous_keys: vec![pem(ED25519)],
        issuer: "https://chat.example".into(),
        audience: "repartee".into(),
    });
    assert!(signer.verify(old.expose_secret(), NOW).is_some());
    let new = signer.sign(&access()).unwrap();
    let header = jsonwebtoken::decode_header(new.expose_secret()).unwrap();
    assert_eq!(header.alg, jsonwebtoken::Algorithm::ES256);
    let published: Vec<_> = signer.public_keys().into_iter().map(|key| key.id).collect();
    let ids = [pem(P256), pem(ED25519)].map(|key| key.public().unwrap().id.clone());
    assert_eq!(published, ids);
}

#[test]
fn a_secret_is_not_published() {
    assert_eq!(signer(secret(SECRET)).public_keys(), []);
}

#[test]
fn refresh_tokens_are_kept_as_their_sha_256() {
    // FIPS 180-4, the example of one block.
    let hash = signer(secret(SECRET)).hash_refresh_token("abc").0;
    assert_eq!(hash[..4], [0xba, 0x78, 0x16, 0xbf]);
    assert_eq!(hash[28..], [0xf2, 0x00, 0x15, 0xad]);
}

#[test]
fn secrets_that_are_good_once_are_kept_as_their_sha_256() {
    let signer = signer(secret(SECRET));
    assert_eq!(signer.hash_secret("abc").0, signer.hash_refresh_token("abc").0);
}

proptest! {
    #[test]
    fn nobody_guesses_a_token(text in "\\PC{0,80}|[A-Za-z0-9_-]{0,60}(\\.[A-Za-z0-9_-]{0,60}){0,4}") {
        prop_assert_eq!(signer(secret(SECRET)).verify(&text, NOW), None);
    }

    #[test]
    fn whatever_a_signed_token_says_it_is_good_only_in_its_time(
        name in "exp|nbf|iat|aud|iss|sub|jti|sid|x",
        value in prop_oneof![
            any::<i64>().prop_map(Value::from),
            (-4000i64..4000).prop_map(|offset| Value::from(NOW.timestamp() + offset)),
            "\\PC{0,20}".prop_map(Value::from),
            Just(json!([])),
        ],
    ) {
        let key = secret(SECRET);
        let token = signed(&key, &header(&key), &with(claims(), &name, value));
        if let Some(access) = signer(key).verify(&token, NOW) {
            let leeway = TimeDelta::seconds(LEEWAY);
            prop_assert!(NOW - leeway < access.expires_at && access.issued_at <= NOW + leeway);
        }
    }
}
