//! People who come with a token of another issuer.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use futures::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use repartee_tests::server::{Client, Server, Setup};
use serde_json::{Value, json};

use crate::support::{address, conversation, on_both_databases, register, somebody, text};

on_both_databases!(
    somebody_from_elsewhere_has_an_account_of_their_own,
    many_first_sights_at_once_make_one_user,
    what_a_ticket_opens_ends_with_the_token_that_got_it,
    only_the_configured_issuer_is_believed,
);

const SECRET: &str = "a secret that the other issuer shares";
const ISSUER: &str = "https://login.example";

fn trusting(setup: Setup) -> Setup {
    setup
        .with("AUTH_SERVICE_URL", ISSUER)
        .with("REPARTEE__AUTH__EXTERNAL__SECRET", SECRET)
        .with("REPARTEE__AUTH__EXTERNAL__AUDIENCE", "chat")
}

/// What the other issuer says of a subject, ten minutes long.
async fn claims(server: &Server, subject: &str) -> Value {
    // The server's own time, out of a token of its own.
    let name = subject.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let registered = register(server, &format!("clock-of-{name}")).await;
    let body = text(&registered["access_token"]).split('.').nth(1).unwrap();
    let own: Value = serde_json::from_slice(&BASE64.decode(body).unwrap()).unwrap();
    let now = own["iat"].as_i64().unwrap();
    json!({"iss": ISSUER, "aud": "chat", "sub": subject, "iat": now, "exp": now + 600})
}

fn signed(claims: &Value, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

async fn me(client: &Client) -> Value {
    client.get("/api/v1/users/me").await.expect(200)
}

async fn somebody_from_elsewhere_has_an_account_of_their_own(setup: Setup) {
    let server = trusting(setup).start().await;
    let ada = somebody(&server, "ada").await;
    let hers = conversation(&ada).await;
    let claims = claims(&server, "auth0|ada").await;
    // The address is Ada's: it opens nothing of hers.
    let claims = with(&claims, "email", json!(address("ada")));
    let claims = with(&claims, "email_verified", json!(true));
    let other = server.client().with_token(&signed(&claims, SECRET));

    let user = me(&other).await;
    assert!(text(&user["email"]).ends_with("@external.invalid"), "{user}");
    assert_eq!((&user["role"], &user["username"]), (&json!("user"), &Value::Null));
    assert_eq!(me(&other).await["id"], user["id"]);
    other.get(&hers).await.problem(404, "conversation_not_found");
    conversation(&other).await;
    let made = json!({"name": "a script"});
    other.post("/api/v1/api-keys", &made).await.expect(201);

    // In a browser, by a ticket.
    let ticket = other.post("/api/v1/auth/ticket", &json!({})).await.expect(200);
    let path = format!("/api/v1/events?ticket={}", text(&ticket["ticket"]));
    let mut feed = server.client().feed(&path, None).await;
    conversation(&other).await;
    assert_eq!(feed.next().await.name, "conversation.created");

    let claims = with(&claims, "sub", json!("auth0|free"));
    let claims = with(&claims, "email", json!("Free@Example.com"));
    let free = me(&server.client().with_token(&signed(&claims, SECRET))).await;
    assert_eq!(
        (&free["email"], &free["is_email_verified"]),
        (&json!("free@example.com"), &json!(true))
    );
    let claims =
        with(&with(&claims, "sub", json!("auth0|unsure")), "email_verified", json!("true"));
    let claims = with(&claims, "email", json!("unsure@example.com"));
    let unsure = me(&server.client().with_token(&signed(&claims, SECRET))).await;
    assert!(text(&unsure["email"]).ends_with("@external.invalid"), "{unsure}");
}

async fn what_a_ticket_opens_ends_with_the_token_that_got_it(setup: Setup) {
    let server = trusting(setup).start().await;
    let claims = claims(&server, "brief").await;
    let soon = claims["iat"].as_i64().unwrap() + 3;
    let brief = signed(&with(&claims, "exp", json!(soon)), SECRET);
    let brief = server.client().with_token(&brief);

    let ticket = brief.post("/api/v1/auth/ticket", &json!({})).await.expect(200);
    assert!(ticket["expires_in"].as_i64().unwrap() <= 3, "{ticket}");
    let path = format!("/api/v1/events?ticket={}", text(&ticket["ticket"]));
    let mut feed = server.client().feed(&path, None).await;

    feed.ended().await;
}

async fn many_first_sights_at_once_make_one_user(setup: Setup) {
    let server = trusting(setup).start().await;
    let claims = with(&claims(&server, "many").await, "email", json!("many@example.com"));
    let claims = with(&claims, "email_verified", json!(true));
    let client = server.client().with_token(&signed(&claims, SECRET));

    let users = join_all((0..20).map(|_| me(&client))).await;

    assert!(users.iter().all(|user| user["id"] == users[0]["id"]));
    assert_eq!(users[0]["email"], "many@example.com");
}

async fn only_the_configured_issuer_is_believed(setup: Setup) {
    let server = trusting(setup).start().await;
    let good = claims(&server, "eve").await;
    let now = good["iat"].as_i64().unwrap();
    let mut bad = vec![signed(&good, "a secret that nobody shares with us")];
    for (name, value) in [
        ("iss", json!("https://other.example")),
        ("iss", json!("repartee")),
        ("aud", json!("mail")),
        ("aud", Value::Null),
        ("exp", json!(now - 60)),
        ("exp", Value::Null),
        ("nbf", json!(now + 600)),
        ("sub", json!("")),
        ("sub", Value::Null),
    ] {
        bad.push(signed(&with(&good, name, value), SECRET));
    }
    let body = BASE64.encode(good.to_string());
    bad.push(format!("{}.{body}.", BASE64.encode(r#"{"alg":"none"}"#)));
    for token in bad {
        let answer = server.client().with_token(&token).get("/api/v1/users/me").await;
        answer.problem(401, "unauthenticated");
    }
    me(&server.client().with_token(&signed(&good, SECRET))).await;
}
