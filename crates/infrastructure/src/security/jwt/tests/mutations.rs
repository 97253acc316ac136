//! Tokens that are almost good.

use std::collections::BTreeSet;

use super::*;

/// The kinds of keys that are guessed at in different ways.
fn both() -> [SigningKey; 2] {
    [secret(SECRET), pem(ED25519)]
}

#[track_caller]
fn assert_refused(key: SigningKey, tokens: impl IntoIterator<Item = String>, at_least: usize) {
    let tokens: BTreeSet<_> = tokens.into_iter().collect();
    assert!(tokens.len() >= at_least, "{}", tokens.len());
    let signer = signer(key);
    let good = signer.sign(&access()).unwrap();
    assert!(signer.verify(good.expose_secret(), NOW).is_some());
    for token in tokens {
        assert!(signer.verify(&token, NOW).is_none(), "{token}");
    }
}

fn good(key: &SigningKey) -> String {
    signed(key, &header(key), &claims())
}

#[test]
fn one_character_changed() {
    for key in both() {
        let token = good(&key);
        let change = |at: usize, other| {
            let mut changed = token.clone();
            changed.replace_range(at..=at, other);
            changed
        };
        let tokens = (0..token.len())
            .flat_map(|at| ["A", "B", "_", ".", "=", " ", "\0"].map(|other| change(at, other)))
            .filter(|changed| *changed != token);
        assert_refused(key, tokens.collect::<Vec<_>>(), 2_000);
    }
}

#[test]
fn one_bit_changed() {
    for key in both() {
        let token = good(&key);
        let parts: Vec<_> = token.split('.').map(str::to_owned).collect();
        let mut tokens = Vec::new();
        for part in 0..3 {
            let bytes = URL_SAFE_NO_PAD.decode(&parts[part]).unwrap();
            for bit in 0..bytes.len() * 8 {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let mut parts = parts.clone();
                parts[part] = URL_SAFE_NO_PAD.encode(bytes);
                tokens.push(parts.join("."));
            }
        }
        assert_refused(key, tokens, 1_000);
    }
}

#[test]
fn cut_short_or_drawn_out() {
    for key in both() {
        let token = good(&key);
        let ends = ["=", "==", ".", "A", "AAAA", ".A", "\n", " ", "\0"];
        let longer = ends.map(|end| format!("{token}{end}"));
        let in_front = [".", " ", "\n", "Bearer "].map(|start| format!("{start}{token}"));
        let shorter = (0..token.len()).map(|length| token[..length].to_owned());
        let padded = token.replace('.', "=.");
        let parts: Vec<_> = token.split('.').collect();
        let reordered = [
            format!("{}.{}.{}", parts[1], parts[0], parts[2]),
            format!("{}.{}", parts[0], parts[1]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}..{}", parts[0], parts[2]),
            format!(".{}.{}", parts[1], parts[2]),
            format!("{token}.{token}"),
            padded,
        ];
        let all = shorter.chain(longer).chain(in_front).chain(reordered);
        assert_refused(key, all.collect::<Vec<_>>(), 400);
    }
}

#[test]
fn wrong_claims_though_the_signature_is_right() {
    let now = NOW.timestamp();
    let wrong = [
        ("iss", json!("https://chat.example/")),
        ("iss", json!("HTTPS://chat.example")),
        ("iss", json!("")),
        ("iss", json!(["https://chat.example"])),
        ("aud", json!("another")),
        ("aud", json!("")),
        ("aud", json!(["repartee", "another"])),
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
        ("exp", json!(1e300)),
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
        ("sid", json!([Uuid::from_u128(2)])),
        // A login session's or a key's, not both.
        ("client_id", json!(Uuid::from_u128(4))),
        ("scope", json!("chat")),
    ];
    let missing = ["iss", "aud", "sub", "exp", "iat", "nbf", "jti", "sid"];
    for key in both() {
        let header = header(&key);
        let tokens = wrong
            .clone()
            .into_iter()
            .chain(missing.map(|name| (name, Value::Null)))
            .map(|(name, value)| signed(&key, &header, &with(claims(), name, value)));
        let no_claims = [json!({}), json!([]), json!("x"), json!(null), json!(1)];
        let tokens = tokens.chain(no_claims.map(|all| signed(&key, &header, &all)));
        let tokens: Vec<_> = tokens.collect();
        assert_refused(key, tokens, 47);
    }
}

#[test]
fn a_keys_token_that_does_not_say_for_what_it_is() {
    let of_key = with(with(claims(), "sid", Value::Null), "client_id", json!(Uuid::from_u128(4)));
    let of_key = with(of_key, "scope", json!("chat"));
    for key in both() {
        let token = |name, value| signed(&key, &header(&key), &with(of_key.clone(), name, value));
        let tokens = [
            token("client_id", Value::Null),
            token("scope", Value::Null),
            token("client_id", json!("")),
            token("scope", json!("chat admin")),
            token("scope", json!(["chat"])),
            token("sid", json!(Uuid::from_u128(2))),
        ];
        assert_refused(key, tokens, 6);
    }
    let (key, signer) = (secret(SECRET), signer(secret(SECRET)));
    assert!(signer.verify(&signed(&key, &header(&key), &of_key), NOW).is_some());
}

#[test]
fn wrong_headers_though_the_signature_is_right() {
    let jwk = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET)});
    let public = URL_SAFE_NO_PAD.encode([7; 32]);
    let algorithms = ["none", "None", "NONE", "hs256", "HS384", "HS512", "RS256", "PS256", "ES256"];
    let wrong = [
        ("typ", Value::Null),
        ("typ", json!("JWT")),
        ("typ", json!("rt+jwt")),
        ("typ", json!("at+jwt ")),
        ("typ", json!("")),
        ("typ", json!(["at+jwt"])),
        ("alg", Value::Null),
        ("alg", json!("")),
        ("alg", json!(["HS256"])),
        ("jku", json!("https://attacker.example/keys")),
        ("jwk", jwk),
        ("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": public})),
        ("x5u", json!("https://attacker.example/key.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("abc")),
        ("x5t#S256", json!("abc")),
        ("kid", json!("another")),
        ("kid", json!("")),
        ("kid", json!("../../dev/null")),
        ("kid", json!("' UNION SELECT 'x")),
        ("kid", json!(["a"])),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("enc", json!("A128GCM")),
        ("zip", json!("DEF")),
    ];
    for key in both() {
        let tokens = wrong
            .clone()
            .into_iter()
            .chain(algorithms.map(|name| ("alg", json!(name))))
            .map(|(name, value)| with(header(&key), name, value))
            .map(|header| signed(&key, &header, &claims()))
            .chain([json!({}), json!([]), json!(null)].map(|all| signed(&key, &all, &claims())));
        let tokens: Vec<_> = tokens.collect();
        assert_refused(key, tokens, 37);
    }
}

#[test]
fn what_is_said_twice() {
    for key in both() {
        let (header, claims) = (header(&key).to_string(), claims().to_string());
        let twice = |text: &str, more: &str| text.replacen('{', &format!("{{{more},"), 1);
        let tokens = [
            signed_text(&key, &twice(&header, r#""alg":"none""#), &claims),
            signed_text(&key, &twice(&header, r#""typ":"JWT""#), &claims),
            signed_text(
                &key,
                &header,
                &twice(&claims, r#""sub":"00000000-0000-0000-0000-000000000009""#),
            ),
            signed_text(&key, &header, &twice(&claims, r#""exp":9999999999"#)),
            signed_text(&key, &header, &twice(&claims, r#""aud":"repartee""#)),
            signed_text(&key, &header, &format!("{claims} x")),
            signed_text(&key, &format!("{header} x"), &claims),
        ];
        assert_refused(key, tokens, 7);
    }
}

#[test]
fn unsigned_and_signed_with_what_everybody_knows() {
    for key in both() {
        let kid = header(&key)["kid"].clone();
        let public_pem = include_str!("../testdata/ed25519-public.pem");
        let PublicKeyMaterial::Ed25519 { x } = pem(ED25519).public().unwrap().material.clone()
        else {
            panic!()
        };
        // The public key taken for a secret (RFC 8725, 2.1).
        let known =
            [public_pem.to_owned(), public_pem.trim().to_owned(), URL_SAFE_NO_PAD.encode(&x)];
        let hs256 = with(json!({"typ": "at+jwt", "alg": "HS256"}), "kid", kid);
        let mut tokens: Vec<_> =
            known.iter().map(|known| signed(&secret(known), &hs256, &claims())).collect();
        for algorithm in ["none", "None", "HS256", "EdDSA"] {
            let header = with(header(&key), "alg", json!(algorithm));
            let message = format!("{}.{}", encoded(&header), encoded(&claims()));
            tokens.extend([format!("{message}."), message.clone(), format!("{message}.AA")]);
        }
        assert_refused(key, tokens, 15);
    }
}

#[test]
fn another_key_another_algorithm_or_another_use_of_the_key() {
    let other = [secret("0123456789abcdef0123456789abcdeF"), pem(OTHER_ED25519)];
    for (key, other) in both().into_iter().zip(other) {
        let mut tokens = vec![good(&other), signed(&other, &header(&key), &claims())];
        tokens.extend(keys().iter().filter(|one| one.algorithm() != key.algorithm()).map(good));
        tokens.push(signed(&key, &header(&key), &with(claims(), "iss", json!("elsewhere"))));
        assert_refused(key, tokens, 5);
    }
    let hs512 =
        Header { typ: Some(TYPE.to_owned()), ..Header::new(jsonwebtoken::Algorithm::HS512) };
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&hs512, &claims(), &key).unwrap();
    assert_refused(secret(SECRET), [token], 1);
}

#[test]
fn too_long_to_be_read() {
    for key in both() {
        let claims = with(claims(), "padding", json!("x".repeat(8 * 1024)));
        let tokens = [signed(&key, &header(&key), &claims), "x".repeat(100_000)];
        assert_refused(key, tokens, 2);
    }
}
