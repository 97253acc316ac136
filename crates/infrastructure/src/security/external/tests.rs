use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use chrono::TimeDelta;
use repartee_application::ports::PublicKeyMaterial;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Mutex,
};

use super::*;
use crate::security::SigningKey;

const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);
const SECRET: &str = "a secret of another issuer, shared";
const ISSUER: &str = "https://login.example";
const ED25519: &str = include_str!("../jwt/testdata/ed25519.pem");
const OTHER: &str = include_str!("../jwt/testdata/ed25519-other.pem");
const RSA: &str = include_str!("../jwt/testdata/rsa2048.pem");

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": ["chat", "mail"], "sub": "auth0|ada", "exp": NOW.timestamp() + 60,
        "email": "ada@example.com", "email_verified": true,
    })
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    match value {
        Value::Null => object.as_object_mut().unwrap().remove(name),
        value => object.as_object_mut().unwrap().insert(name.into(), value),
    };
    object
}

fn pem(pem: &str) -> SigningKey {
    SigningKey::from_pem(pem.as_bytes()).unwrap()
}

fn secret() -> SigningKey {
    SigningKey::from_secret(SECRET.into()).unwrap()
}

fn header(key: &SigningKey) -> Value {
    let header = json!({"alg": format!("{:?}", key.algorithm()), "typ": "JWT"});
    with(header, "kid", json!(key.public().map(|public| public.id.clone())))
}

fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let parts = [header, claims].map(|part| BASE64.encode(part.to_string()));
    let message = parts.join(".");
    let signature = key.sign(message.as_bytes()).unwrap();
    format!("{message}.{}", BASE64.encode(signature))
}

fn issuer(keys: ExternalKeys, audience: Option<&str>) -> ExternalIssuer {
    let audience = audience.map(Into::into);
    ExternalIssuer::new(ExternalIssuerSettings { keys, issuer: ISSUER.into(), audience }).unwrap()
}

fn sharing() -> ExternalIssuer {
    issuer(ExternalKeys::Secret(SECRET.into()), Some("chat"))
}

async fn is_good(issuer: &ExternalIssuer, token: &str) -> bool {
    issuer.verify(token, NOW).await.unwrap().is_some()
}

#[tokio::test]
async fn a_token_tells_who_somebody_is_there() {
    let token = signed(&secret(), &header(&secret()), &claims());
    let claims = sharing().verify(&token, NOW).await.unwrap().unwrap();
    assert_eq!(claims.identity.issuer, ISSUER);
    assert_eq!(claims.identity.subject, "auth0|ada");
    assert_eq!(claims.verified_email.as_deref(), Some("ada@example.com"));
    assert_eq!(claims.expires_at, NOW + TimeDelta::minutes(1));
}

#[tokio::test]
async fn only_true_is_verified() {
    for value in [Value::Null, json!(false), json!("true"), json!(1)] {
        let claims = with(claims(), "email_verified", value);
        let token = signed(&secret(), &header(&secret()), &claims);
        let claims = sharing().verify(&token, NOW).await.unwrap().unwrap();
        assert_eq!(claims.verified_email, None);
    }
}

#[tokio::test]
async fn what_varies_from_issuer_to_issuer_is_taken() {
    let now = NOW.timestamp();
    for (name, value) in [
        ("aud", json!("chat")),
        ("exp", json!(now - 29)),
        ("exp", json!(1_800_000_060.5)),
        ("nbf", json!(now + 30)),
        ("iat", json!(now + 30)),
        ("email", Value::Null),
        ("roles", json!(["admin"])),
    ] {
        let token = signed(&secret(), &header(&secret()), &with(claims(), name, value));
        assert!(is_good(&sharing(), &token).await, "{name}");
    }
    for typ in [Value::Null, json!("at+jwt"), json!("application/jwt")] {
        let token = signed(&secret(), &with(header(&secret()), "typ", typ), &claims());
        assert!(is_good(&sharing(), &token).await);
    }
}

#[tokio::test]
async fn a_token_that_is_meant_for_nobody_does_where_no_audience_is_configured() {
    let without = issuer(ExternalKeys::Secret(SECRET.into()), None);
    let nobody = with(claims(), "aud", Value::Null);
    assert!(is_good(&without, &signed(&secret(), &header(&secret()), &nobody)).await);
    assert!(!is_good(&without, &signed(&secret(), &header(&secret()), &claims())).await);
}

#[tokio::test]
async fn what_is_wrong_is_refused() {
    let now = NOW.timestamp();
    let mut tokens = Vec::new();
    for (name, value) in [
        ("iss", json!("https://login.example/")),
        ("iss", Value::Null),
        ("aud", json!("other")),
        ("aud", json!([])),
        ("aud", Value::Null),
        ("sub", Value::Null),
        ("sub", json!("")),
        ("sub", json!("a\0b")),
        ("sub", json!("x".repeat(256))),
        ("sub", json!(7)),
        ("exp", Value::Null),
        ("exp", json!(now - 30)),
        ("exp", json!("soon")),
        ("exp", json!(1e300)),
        ("nbf", json!(now + 31)),
        ("iat", json!(now + 31)),
    ] {
        tokens.push(signed(&secret(), &header(&secret()), &with(claims(), name, value)));
    }
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("HS512")),
        ("typ", json!("logout+jwt")),
        ("typ", json!("rt+jwt")),
        ("jku", json!("https://attacker.example/keys")),
        ("crit", json!(["exp"])),
    ] {
        tokens.push(signed(&secret(), &with(header(&secret()), name, value), &claims()));
    }
    let other = SigningKey::from_secret("another secret of thirty-two bytes".into()).unwrap();
    tokens.push(signed(&other, &header(&other), &claims()));
    tokens.push(signed(&pem(ED25519), &header(&pem(ED25519)), &claims()));
    for token in tokens.iter().map(String::as_str).chain(["", "a.b.c", "nonsense"]) {
        assert!(!is_good(&sharing(), token).await, "{token}");
    }
}

/// Publishes keys at a URL, and counts how often they are read.
struct Publisher {
    url: reqwest::Url,
    answer: Arc<Mutex<String>>,
    readings: Arc<AtomicUsize>,
}

impl Publisher {
    async fn of(keys: &[SigningKey]) -> Self {
        let answer = Arc::new(Mutex::new(ok(&jwks(keys))));
        let readings = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap()).parse().unwrap();
        let (answers, count) = (answer.clone(), readings.clone());
        #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let _ = connection.read(&mut [0; 4096]).await;
                count.fetch_add(1, SeqCst);
                let answer = answers.lock().await.clone();
                let _ = connection.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, answer, readings }
    }

    fn issuer(&self) -> ExternalIssuer {
        issuer(ExternalKeys::Jwks(self.url.clone()), Some("chat"))
    }

    async fn answers(&self, answer: String) {
        *self.answer.lock().await = answer;
    }

    fn readings(&self) -> usize {
        self.readings.load(SeqCst)
    }
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn jwks(keys: &[SigningKey]) -> String {
    let published = keys.iter().filter_map(SigningKey::public).map(|key| {
        let id = &key.id;
        match &key.material {
            PublicKeyMaterial::Ed25519 { x } => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": BASE64.encode(x)})
            }
            PublicKeyMaterial::P256 { x, y } => {
                let (x, y) = (BASE64.encode(x), BASE64.encode(y));
                json!({"kty": "EC", "crv": "P-256", "kid": id, "x": x, "y": y, "use": "sig"})
            }
            PublicKeyMaterial::Rsa { modulus, exponent } => {
                let (n, e) = (BASE64.encode(modulus), BASE64.encode(exponent));
                json!({"kty": "RSA", "kid": id, "n": n, "e": e, "alg": "RS256"})
            }
        }
    });
    // What is not understood, or no public key, does no harm.
    let others = [
        json!({"kty": "oct", "kid": "secret", "k": BASE64.encode(SECRET)}),
        json!({"kty": "??"}),
        json!(7),
    ];
    json!({"keys": published.chain(others).collect::<Vec<_>>()}).to_string()
}

#[tokio::test]
async fn published_keys_are_read_once() {
    let publisher = Publisher::of(&[pem(ED25519), pem(RSA)]).await;
    let issuer = publisher.issuer();
    for key in [pem(ED25519), pem(RSA), pem(ED25519)] {
        assert!(is_good(&issuer, &signed(&key, &header(&key), &claims())).await);
    }
    assert_eq!(publisher.readings(), 1);
}

#[tokio::test]
async fn what_is_not_theirs_makes_nobody_read() {
    let publisher = Publisher::of(&[pem(ED25519)]).await;
    let issuer = publisher.issuer();
    let key = pem(ED25519);
    let elsewhere = with(claims(), "iss", json!("https://elsewhere.example"));
    let over = with(claims(), "exp", json!(0));
    for claims in [elsewhere, over] {
        assert!(!is_good(&issuer, &signed(&key, &header(&key), &claims)).await);
    }
    assert_eq!(publisher.readings(), 0);
}

#[tokio::test]
async fn a_key_of_another_kind_or_a_published_secret_signs_nothing() {
    let publisher = Publisher::of(&[pem(ED25519), pem(RSA)]).await;
    let issuer = publisher.issuer();
    let as_rsa = with(header(&pem(ED25519)), "kid", header(&pem(RSA))["kid"].clone());
    let published_secret = with(header(&secret()), "kid", json!("secret"));
    for token in [
        signed(&pem(ED25519), &as_rsa, &claims()),
        signed(&secret(), &published_secret, &claims()),
        signed(&pem(ED25519), &with(header(&pem(ED25519)), "kid", Value::Null), &claims()),
    ] {
        assert!(!is_good(&issuer, &token).await, "{token}");
    }
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_every_thirty_seconds_at_most() {
    let publisher = Publisher::of(&[pem(ED25519)]).await;
    let issuer = publisher.issuer();
    let (old, new) = (pem(ED25519), pem(OTHER));
    let claims = with(claims(), "exp", json!(NOW.timestamp() + 3_600));
    let (old, new) = (signed(&old, &header(&old), &claims), signed(&new, &header(&new), &claims));
    assert!(is_good(&issuer, &old).await);

    publisher.answers(ok(&jwks(&[pem(OTHER)]))).await;
    let after = |seconds| issuer.verify(&new, NOW + TimeDelta::seconds(seconds));
    for seconds in [0, 10, 29] {
        assert!(after(seconds).await.unwrap().is_none());
    }
    assert_eq!(publisher.readings(), 1);
    assert!(after(30).await.unwrap().is_some());
    assert_eq!(publisher.readings(), 2);
    // What was withdrawn is good no more.
    assert!(!is_good(&issuer, &old).await);
}

#[tokio::test]
async fn old_keys_are_used_on_while_the_issuer_is_away() {
    let publisher = Publisher::of(&[pem(ED25519)]).await;
    let issuer = publisher.issuer();
    let key = pem(ED25519);
    let claims = with(claims(), "exp", json!(NOW.timestamp() + 360_000));
    let token = signed(&key, &header(&key), &claims);
    assert!(is_good(&issuer, &token).await);

    let too_long = ok(&format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(300_000)));
    let elsewhere = "HTTP/1.1 302 Found\r\nlocation: /keys\r\ncontent-length: 0\r\n\r\n".to_owned();
    let broken = "HTTP/1.1 500 -\r\ncontent-length: 0\r\n\r\n".to_owned();
    for (hour, answer) in (1..).zip([too_long, elsewhere, broken, ok("nonsense"), String::new()]) {
        publisher.answers(answer).await;
        let later = NOW + TimeDelta::hours(hour);
        assert!(issuer.verify(&token, later).await.unwrap().is_some(), "{hour}");
        assert_eq!(
            publisher.readings(),
            1 + usize::try_from(hour).unwrap(),
            "no redirect is followed"
        );
    }
}

#[tokio::test]
async fn an_issuer_that_was_never_there_is_no_refusal() {
    let publisher = Publisher::of(&[]).await;
    publisher.answers("HTTP/1.1 503 -\r\ncontent-length: 0\r\n\r\n".into()).await;
    let key = pem(ED25519);
    let token = signed(&key, &header(&key), &claims());
    let answer = publisher.issuer().verify(&token, NOW).await;
    assert!(matches!(answer, Err(PortError::Unavailable(_))));
}
