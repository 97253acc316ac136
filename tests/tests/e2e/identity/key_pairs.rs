//! Tokens that are signed with a key pair.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, jwk::JwkSet,
};
use repartee_tests::server::{Client, Engine, Server, Setup};
use serde_json::{Value, json};

use crate::support::{register, text};

/// PEM files that are there for tests.
fn key_file(name: &str) -> String {
    let here = env!("CARGO_MANIFEST_DIR");
    format!("{here}/../crates/infrastructure/src/security/jwt/testdata/{name}.pem")
}

fn signing_with(name: &str) -> Setup {
    Setup::on(Engine::Sqlite).with("REPARTEE__AUTH__KEY_FILE", &key_file(name))
}

async fn is_good(client: &Client, token: &str) -> bool {
    match client.with_token(token).get("/api/v1/users/me").await.status {
        200 => true,
        401 => false,
        status => panic!("{status}"),
    }
}

async fn published(server: &Server) -> JwkSet {
    let keys = server.client().get("/.well-known/jwks.json").await.expect(200);
    serde_json::from_value(keys).unwrap()
}

#[tokio::test]
async fn anybody_checks_our_tokens_with_what_is_published() {
    for (name, algorithm) in
        [("ed25519", Algorithm::EdDSA), ("p256", Algorithm::ES256), ("rsa2048", Algorithm::RS256)]
    {
        let server = signing_with(name).start().await;
        let registered = register(&server, "ada").await;
        let token = text(&registered["access_token"]);
        let header = jsonwebtoken::decode_header(token).unwrap();
        assert_eq!(header.alg, algorithm);

        let keys = published(&server).await;
        let key = keys.find(header.kid.as_deref().unwrap()).unwrap();
        let key = DecodingKey::from_jwk(key).unwrap();
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&["repartee"]);
        validation.set_issuer(&["repartee"]);
        let claims: Value = decode(token, &key, &validation).unwrap().claims;

        assert_eq!(claims["sub"], registered["user"]["id"]);
        assert!(is_good(&server.client(), token).await);
    }
}

#[tokio::test]
async fn a_new_key_takes_over_from_the_old_one() {
    let mut server = signing_with("ed25519").start().await;
    let registered = register(&server, "ada").await;
    let token = text(&registered["access_token"]);

    server.site.set("REPARTEE__AUTH__KEY_FILE", &key_file("p256"));
    server.site.set("REPARTEE__AUTH__PREVIOUS_KEY_FILES", &key_file("ed25519"));
    server.restart().await;
    assert!(is_good(&server.client(), token).await);
    assert_eq!(published(&server).await.keys.len(), 2);

    server.site.set("REPARTEE__AUTH__PREVIOUS_KEY_FILES", "");
    server.restart().await;
    assert!(!is_good(&server.client(), token).await);
    // Nobody has to log in anew: that is what refresh tokens are for.
    let body = json!({"refresh_token": registered["refresh_token"]});
    let fresh = server.client().post("/api/v1/auth/refresh", &body).await.expect(200);
    assert!(is_good(&server.client(), text(&fresh["access_token"])).await);
}

#[tokio::test]
async fn what_everybody_knows_signs_nothing() {
    let server = signing_with("ed25519").start().await;
    let registered = register(&server, "ada").await;
    let token = text(&registered["access_token"]);
    let [head, body, signature]: [&str; 3] =
        token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let claims: Value = serde_json::from_slice(&BASE64.decode(body).unwrap()).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let as_hs256 = Header { alg: Algorithm::HS256, ..header.clone() };
    let public = std::fs::read(key_file("ed25519-public")).unwrap();
    let x = BASE64.decode(text(&keys_of(&server).await["keys"][0]["x"])).unwrap();
    let known = [public.as_slice(), &x, b""];
    let mut bad: Vec<_> = known
        .map(|known| encode(&as_hs256, &claims, &EncodingKey::from_secret(known)).unwrap())
        .into();
    let none =
        BASE64.encode(json!({"alg": "none", "typ": "at+jwt", "kid": header.kid}).to_string());
    let other_kid = BASE64.encode(json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "x"}).to_string());
    bad.extend([
        format!("{none}.{body}."),
        format!("{none}.{body}.{signature}"),
        format!("{other_kid}.{body}.{signature}"),
        format!("{head}.{body}."),
    ]);
    for token in bad {
        assert!(!is_good(&server.client(), &token).await, "{token}");
    }
    assert!(is_good(&server.client(), token).await);
}

async fn keys_of(server: &Server) -> Value {
    server.client().get("/.well-known/jwks.json").await.expect(200)
}

#[tokio::test]
async fn a_key_that_cannot_sign_stops_the_start() {
    for name in ["rsa1024", "p384", "pkcs1", "ed25519-public", "nowhere"] {
        let site = signing_with(name).site().await;
        let output = site.run(&["serve"]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains("auth.key_file") && said.contains(name), "{said}");
    }
}
