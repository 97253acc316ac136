use std::collections::HashSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::*;

const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn signer_with(secret: &str, issuer: &str, audience: &str) -> JwtSigner {
    JwtSigner::new(JwtSettings {
        secret: secret.into(),
        issuer: issuer.into(),
        audience: audience.into(),
    })
    .unwrap()
}

fn signer() -> JwtSigner {
    signer_with(SECRET, "https://chat.example", "repartee")
}

fn access() -> AccessClaims {
    AccessClaims {
        user: UserId::from_uuid(Uuid::from_u128(1)),
        session: LoginSessionId::from_uuid(Uuid::from_u128(2)),
        token: Uuid::from_u128(3),
        issued_at: NOW,
        expires_at: NOW + TimeDelta::minutes(30),
    }
}

fn claims() -> Value {
    json!({
        "iss": "https://chat.example", "aud": "repartee", "sub": Uuid::from_u128(1),
        "exp": NOW.timestamp() + 1800, "iat": NOW.timestamp(), "nbf": NOW.timestamp(),
        "jti": Uuid::from_u128(3), "sid": Uuid::from_u128(2),
    })
}

fn header() -> Value {
    json!({"typ": "at+jwt", "alg": "HS256"})
}

/// A token whose signature is right, whatever it says: what a stolen key or another use of the
/// same key would make.
fn signed(header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
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
    let token = signer().sign(&access()).unwrap();
    assert_eq!(signer().verify(token.expose_secret(), NOW), Some(access()));
}

#[test]
fn it_has_the_header_and_the_claims_of_the_profile() {
    let token = signer().sign(&access()).unwrap();
    let parts: Vec<Value> = token
        .expose_secret()
        .split('.')
        .take(2)
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    assert_eq!(parts, [header(), claims()]);
}

#[test]
fn what_another_library_signs_with_the_same_key_is_good() {
    for header in [header(), with(header(), "typ", json!("application/AT+JWT"))] {
        assert_eq!(signer().verify(&signed(&header, &claims()), NOW), Some(access()));
    }
}

#[test]
fn thirty_seconds_either_way_are_let_pass() {
    let token = signer().sign(&access()).unwrap();
    let is_good = |seconds| {
        signer().verify(token.expose_secret(), NOW + TimeDelta::seconds(seconds)).is_some()
    };
    assert!(!is_good(-31) && is_good(-30) && is_good(1829) && !is_good(1830));
}

#[test]
fn a_token_with_one_character_changed_is_refused() {
    let token = signer().sign(&access()).unwrap().expose_secret().to_owned();
    for at in 0..token.len() {
        for other in ["A", "B", "_", ".", "=", " "] {
            let mut changed = token.clone();
            changed.replace_range(at..=at, other);
            assert!(changed == token || signer().verify(&changed, NOW).is_none(), "{at} {other}");
        }
    }
}

#[test]
fn a_token_cut_short_or_drawn_out_is_refused() {
    let token = signer().sign(&access()).unwrap().expose_secret().to_owned();
    let longer = ["=", ".", "A", ".A", "\n", " "].map(|end| format!("{token}{end}"));
    let in_front = [".", " ", "Bearer "].map(|start| format!("{start}{token}"));
    let shorter = (0..token.len()).map(|length| token[..length].to_owned());
    for changed in shorter.chain(longer).chain(in_front).chain([format!("{token}.{token}")]) {
        assert!(signer().verify(&changed, NOW).is_none(), "{changed}");
    }
}

#[test]
fn wrong_claims_are_refused_though_the_signature_is_right() {
    let now = NOW.timestamp();
    let wrong = [
        ("iss", json!("https://chat.example/")),
        ("iss", json!("")),
        ("iss", json!(["https://chat.example"])),
        ("aud", json!("another")),
        ("aud", json!("")),
        ("aud", json!(["another"])),
        ("aud", json!([])),
        ("sub", json!("")),
        ("sub", json!("admin")),
        ("sub", json!(1)),
        ("exp", json!(now - 31)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!(i64::MIN)),
        ("exp", json!(u64::MAX)),
        ("exp", json!("2100-01-01")),
        ("exp", json!(format!("{}", now + 1800))),
        ("exp", json!(true)),
        ("nbf", json!(now + 31)),
        ("nbf", json!(i64::MAX)),
        ("nbf", json!("0")),
        ("iat", json!(now + 31)),
        ("iat", json!(i64::MIN)),
        ("iat", json!("0")),
        ("jti", json!("")),
        ("jti", json!(3)),
        ("sid", json!("")),
        ("sid", json!(2)),
    ];
    let missing = ["iss", "aud", "sub", "exp", "iat", "nbf", "jti", "sid"];
    let tokens: HashSet<String> = wrong
        .into_iter()
        .chain(missing.map(|name| (name, Value::Null)))
        .map(|(name, value)| signed(&header(), &with(claims(), name, value)))
        .chain([json!({}), json!([]), json!("x"), json!(null)].map(|all| signed(&header(), &all)))
        .collect();
    assert_eq!(tokens.len(), 40);
    for token in tokens {
        assert!(signer().verify(&token, NOW).is_none(), "{token}");
    }
}

#[test]
fn wrong_headers_are_refused_though_the_signature_is_right() {
    let jwk = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET)});
    for (name, value) in [
        ("typ", Value::Null),
        ("typ", json!("JWT")),
        ("typ", json!("rt+jwt")),
        ("typ", json!("")),
        ("typ", json!(["at+jwt"])),
        ("alg", Value::Null),
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("hs256")),
        ("alg", json!("HS384")),
        ("alg", json!("HS512")),
        ("alg", json!("RS256")),
        ("alg", json!("ES256")),
        ("alg", json!("EdDSA")),
        ("alg", json!(["HS256"])),
        ("jku", json!("https://attacker.example/keys")),
        ("jwk", jwk),
        ("x5u", json!("https://attacker.example/key.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("abc")),
        ("x5t#S256", json!("abc")),
        ("crit", json!(["exp"])),
        ("enc", json!("A128GCM")),
        ("zip", json!("DEF")),
    ] {
        let header = with(header(), name, value);
        assert!(signer().verify(&signed(&header, &claims()), NOW).is_none(), "{header}");
    }
}

#[test]
fn an_unsigned_token_is_refused() {
    for algorithm in ["none", "HS256"] {
        let header = with(header(), "alg", json!(algorithm));
        let message = format!("{}.{}", encoded(&header), encoded(&claims()));
        for token in [format!("{message}."), message] {
            assert!(signer().verify(&token, NOW).is_none(), "{token}");
        }
    }
}

#[test]
fn another_key_another_algorithm_or_another_use_of_the_key_is_refused() {
    let others = [
        signer_with("0123456789abcdef0123456789abcdeF", "https://chat.example", "repartee"),
        signer_with(SECRET, "https://other.example", "repartee"),
        signer_with(SECRET, "https://chat.example", "other"),
    ];
    for other in others {
        let token = other.sign(&access()).unwrap();
        assert!(signer().verify(token.expose_secret(), NOW).is_none());
    }
    let header = Header { typ: Some(TYPE.to_owned()), ..Header::new(Algorithm::HS512) };
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
    assert!(signer().verify(&token, NOW).is_none());
}

#[test]
fn a_token_that_is_too_long_is_not_even_read() {
    let claims = with(claims(), "padding", json!("x".repeat(MAX_TOKEN)));
    assert!(signer().verify(&signed(&header(), &claims), NOW).is_none());
}

#[test]
fn a_short_secret_is_refused() {
    let settings = |secret: &str| JwtSettings {
        secret: secret.into(),
        issuer: String::new(),
        audience: String::new(),
    };
    assert!(matches!(JwtSigner::new(settings(&SECRET[1..])), Err(WeakSecret)));
    assert!(!format!("{:?}", settings(SECRET)).contains(SECRET));
}

#[test]
fn refresh_tokens_are_kept_as_their_sha_256() {
    // FIPS 180-4, the example of one block.
    let hash = signer().hash_refresh_token("abc").0;
    assert_eq!(hash[..4], [0xba, 0x78, 0x16, 0xbf]);
    assert_eq!(hash[28..], [0xf2, 0x00, 0x15, 0xad]);
}
