//! Requests that are wrong, and how that is told.

use repartee_tests::server::{Answer, Engine, Setup};
use reqwest::Method;
use serde_json::json;

use crate::support::{PASSWORD, address, conversation, list, somebody};

#[tokio::test]
async fn an_unknown_route_and_a_wrong_method_are_told_apart() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let client = server.client();
    for path in ["/nothing", "/api", "/api/v1", "/api/v1/conversations/x/y/z", "/api/v2/users/me"] {
        client.get(path).await.problem(404, "route_not_found");
    }
    for (method, path, allow) in [
        (Method::DELETE, "/api/v1/auth/login", "POST, OPTIONS"),
        (Method::GET, "/api/v1/auth/register", "POST, OPTIONS"),
        (Method::POST, "/health", "GET, HEAD, OPTIONS"),
        (Method::POST, "/api/v1/users/me", "GET, PATCH, PUT, HEAD, OPTIONS"),
        (Method::TRACE, "/", "GET, HEAD, OPTIONS"),
    ] {
        let answer = Answer::to(client.request(method.clone(), path)).await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_says_why() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let path = conversation(&ada).await;
    let messages = format!("{path}/messages");
    let login = "/api/v1/auth/login".to_owned();
    let conversations = "/api/v1/conversations".to_owned();
    let deep = format!("{{\"metadata\":{{\"x\":{}{}}}}}", "[".repeat(5_000), "]".repeat(5_000));
    for (path, method) in [
        (&login, Method::POST),
        (&conversations, Method::POST),
        (&messages, Method::POST),
        (&path, Method::PATCH),
    ] {
        let send = async |kind: &str, body: &[u8]| {
            let request = ada.request(method.clone(), path).header("Content-Type", kind);
            Answer::to(request.body(body.to_vec())).await
        };
        for malformed in
            ["{", "nonsense", "{\"content\":\"x\"}{}", "{\"title\":5,", "{\"x\":\"\u{1}\"}"]
        {
            let answer = send("application/json", malformed.as_bytes()).await;
            answer.problem(400, "malformed_json");
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            send(kind, b"{}").await.problem(415, "unsupported_media_type");
        }
        let huge = format!("{{\"content\":\"{}\"}}", "x".repeat(300 * 1024));
        send("application/json", huge.as_bytes()).await.problem(413, "body_too_large");
        for wrong in ["[]", "5", "\"text\"", "null"] {
            let answer = send("application/json", wrong.as_bytes()).await;
            answer.problem(422, "invalid_fields");
        }
    }
    ada.get(&path).await.expect(200);
    for malformed in [b"{\"title\":\"\\ud800\"}", &b"{\"title\":\"\xff\"}"[..], deep.as_bytes()] {
        let request = ada.request(Method::POST, &conversations).body(malformed.to_vec());
        let answer = Answer::to(request.header("Content-Type", "application/json")).await;
        answer.problem(400, "malformed_json");
    }
}

#[tokio::test]
async fn json_has_more_than_one_name() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    for kind in
        ["application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"]
    {
        let request = ada.request(Method::PATCH, "/api/v1/users/me").header("Content-Type", kind);
        Answer::to(request.body("{\"first_name\":\"Ada\"}")).await.expect(200);
    }
}

#[tokio::test]
async fn the_limit_of_a_body_is_the_operators() {
    let server =
        Setup::on(Engine::Sqlite).with("REPARTEE__HTTP__BODY_LIMIT_BYTES", "2000").start().await;
    let ada = somebody(&server, "ada").await;
    let title = |length| json!({"system_message": "x".repeat(length)});
    ada.post("/api/v1/conversations", &title(1_900)).await.expect(201);
    let answer = ada.post("/api/v1/conversations", &title(2_000)).await;
    answer.problem(413, "body_too_large");
}

#[tokio::test]
async fn a_missing_resource_is_told_before_a_bad_body() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let missing = "/api/v1/conversations/01939c2e-7b9a-7000-8000-000000000000";
    for (method, path) in [
        (Method::PATCH, missing.to_owned()),
        (Method::PUT, missing.to_owned()),
        (Method::POST, format!("{missing}/messages")),
    ] {
        for (kind, body) in [
            ("application/json", "{"),
            ("text/plain", "x"),
            ("application/json", "{\"content\":5,\"title\":5,\"status\":\"x\",\"role\":5}"),
            ("application/json", "{\"content\":\"\",\"temperature\":9,\"title\":\"\\u0000\"}"),
        ] {
            let request = ada.request(method.clone(), &path).header("Content-Type", kind);
            let answer = Answer::to(request.body(body)).await;
            answer.problem(404, "conversation_not_found");
        }
    }
}

#[tokio::test]
async fn each_wrong_field_is_named() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    for (field, body) in [
        ("title", json!({"title": 5})),
        ("title", json!({"title": "x".repeat(201)})),
        ("title", json!({"title": "nul\u{0}"})),
        ("system_message", json!({"system_message": "x".repeat(32_001)})),
        ("model", json!({"model": "x".repeat(201)})),
        ("metadata", json!({"metadata": []})),
        ("metadata", json!({"metadata": {"k": "x".repeat(17_000)}})),
        ("metadata", json!({"metadata": {"k": "nul\u{0}"}})),
    ] {
        let problem = ada.post("/api/v1/conversations", &body).await.problem(422, "invalid_fields");
        assert_eq!(list(&problem["errors"])[0]["field"], field, "{problem}");
    }
    for (field, body) in [
        ("email", json!({"password": PASSWORD})),
        ("password", json!({"email": address("x")})),
        ("email", json!({"email": 5, "password": PASSWORD})),
    ] {
        for path in ["/api/v1/auth/login", "/api/v1/auth/register"] {
            let problem = server.client().post(path, &body).await.problem(422, "invalid_fields");
            assert_eq!(list(&problem["errors"])[0]["field"], field, "{problem}");
        }
    }
    let path = conversation(&ada).await;
    let problem =
        ada.patch(&path, &json!({"status": "asleep"})).await.problem(422, "invalid_fields");
    assert_eq!(list(&problem["errors"])[0]["field"], "status");
}
