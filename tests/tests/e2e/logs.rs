//! What the log says, and what it never says.

use repartee_tests::server::{Answer, Engine, Setup};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PASSWORD, address, conversation, register, text};

const QUESTION: &str = "a-question-that-is-nobodys-business";

/// Of the libraries too, which are quiet unless they are named.
const EVERYTHING: &str = "trace,sqlx=trace,sea_orm=trace,h2=trace,hyper=trace,hyper_util=trace,\
    reqwest=trace,rustls=trace";

#[tokio::test]
async fn no_secret_is_logged_at_any_level() {
    let mut server = Setup::on(Engine::Sqlite)
        .with("RUST_LOG", EVERYTHING)
        .with("OPENAI_API_KEY", "key-of-the-upstream")
        .with("JWT_SECRET", "secret-that-signs-of-thirty-two-bytes")
        .start()
        .await;
    let registered = register(&server, "ada").await;
    let wrong = json!({"email": address("ada"), "password": "wrong-password-1"});
    server.client().post("/api/v1/auth/login", &wrong).await.expect(401);
    let refresh = json!({"refresh_token": registered["refresh_token"]});
    let refreshed = server.client().post("/api/v1/auth/refresh", &refresh).await.expect(200);
    let token = text(&refreshed["access_token"]);
    let ada = server.client().with_token(token);
    let path = conversation(&ada).await;
    let stream = path.replace("/conversations/", "/stream/chat/");
    let query = format!("{stream}?message={QUESTION}&token={token}&model=mock-echo");
    ada.without_token().resume(&query, None).await.rest().await;
    let body = json!({"content": QUESTION, "model": "mock-500"});
    ada.post(&format!("{path}/messages"), &body).await.expect(502);
    ada.get(&format!("/nothing?password={PASSWORD}")).await.expect(404);
    ada.post("/api/v1/auth/login", &json!(PASSWORD)).await.expect(422);
    server.terminate().await;
    server.ended().await;

    let log = server.log().join("\n");
    for secret in [
        PASSWORD,
        "wrong-password-1",
        QUESTION,
        token,
        text(&registered["access_token"]),
        text(&registered["refresh_token"]),
        text(&refreshed["refresh_token"]),
        "key-of-the-upstream",
        "secret-that-signs",
        "?token=",
        "&token=",
        "?message",
        "?password",
        "argon2",
        "panicked",
    ] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}

#[tokio::test]
async fn each_request_has_one_line() {
    let server = Setup::on(Engine::Sqlite).with("LOG_FORMAT", "json").start().await;
    let registered = register(&server, "ada").await;
    let ada = server.client().with_token(text(&registered["access_token"]));
    let path = conversation(&ada).await;
    for (id, method, path, body, status) in [
        ("found", Method::GET, &*path, Value::Null, 200),
        ("missing", Method::GET, "/nothing", Value::Null, 404),
        ("refused", Method::DELETE, "/health", Value::Null, 405),
        ("asked", Method::POST, &format!("{path}/messages"), json!({"content": "x"}), 200),
    ] {
        let request = ada.request(method, path).header("X-Request-Id", id).json(&body);
        Answer::to(request).await.expect(status);
        let named = format!("\"request_id\":\"{id}\"");
        server.logs(&named).await;
        let log = server.log();
        let lines: Vec<_> = log.iter().filter(|line| line.contains(&named)).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line: Value = serde_json::from_str(lines[0]).unwrap();
        assert_eq!(line["status"], status, "{line}");
        assert!(line["ms"].is_u64(), "{line}");
    }
    assert!(server.log().iter().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}
