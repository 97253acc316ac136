//! Headers of every answer, and of some requests.

use repartee_tests::server::{Answer, Engine, Setup};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

use crate::support::{conversation, somebody};

#[tokio::test]
async fn a_request_keeps_its_name_and_one_without_gets_one() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let named = async |id: &str| {
        let request = server.client().request(Method::GET, "/nothing");
        let answer = Answer::to(request.header("X-Request-Id", id)).await;
        answer.problem(404, "route_not_found");
        answer.header("x-request-id").to_owned()
    };
    let longest = "x".repeat(128);
    for good in ["a", "01939c2e-7b9a", "trace:1.2_3", &*longest] {
        assert_eq!(named(good).await, good);
    }
    let too_long = "x".repeat(129);
    for bad in ["", "two words", "a\tb", "<script>", "é", "a\"b", "a,b", &*too_long] {
        let made = named(bad).await;
        assert!(made.parse::<Uuid>().is_ok(), "{bad} became {made}");
    }
    let first = server.client().get("/health").await.header("x-request-id").to_owned();
    let second = server.client().get("/health").await.header("x-request-id").to_owned();
    assert!(first.parse::<Uuid>().is_ok() && first != second, "{first} {second}");
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let path = conversation(&ada).await;
    let stream = path.replace("/conversations/", "/stream/chat/") + "?message=Hi";
    let login = "/api/v1/auth/login";
    let answers = [
        ada.get("/").await,
        ada.get("/docs").await,
        ada.get(&path).await,
        ada.get(&stream).await,
        ada.get("/nothing").await,
        ada.delete("/health").await,
        ada.without_token().get(&path).await,
        ada.post(login, &json!(5)).await,
        Answer::to(ada.request(Method::POST, login).body("x".repeat(600_000))).await,
        Answer::to(ada.request(Method::OPTIONS, login)).await,
        ada.delete(&path).await,
    ];
    for answer in answers {
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{answer:?}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{answer:?}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{answer:?}");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{answer:?}");
        assert!(answer.header("permissions-policy").contains("microphone=()"), "{answer:?}");
        assert_ne!(answer.header("cache-control"), "", "{answer:?}");
        assert_eq!(answer.header("strict-transport-security"), "", "it came by no TLS");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{answer:?}");
        assert_ne!(answer.header("x-request-id"), "", "{answer:?}");
        assert_eq!(answer.header("server"), "", "{answer:?}");
        assert_eq!(answer.header("set-cookie"), "", "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_somebodys_own_is_kept_by_nobody() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let path = conversation(&ada).await;
    for path in ["/api/v1/users/me", "/api/v1/conversations", &path, "/api/v1/nothing"] {
        assert_eq!(ada.get(path).await.header("cache-control"), "no-store", "{path}");
    }
    for path in ["/", "/docs", "/redoc", "/openapi.json"] {
        assert_eq!(ada.get(path).await.header("cache-control"), "no-cache", "{path}");
    }
}

#[tokio::test]
async fn browsers_are_told_to_come_by_tls_where_they_do() {
    for (setting, came_by, told) in [
        ("auto", "https", true),
        ("auto", "http", false),
        ("off", "https", false),
        ("on", "http", true),
    ] {
        let server = Setup::on(Engine::Sqlite).with("REPARTEE__HTTP__HSTS", setting).start().await;
        for path in ["/", "/nothing"] {
            let request = server.client().request(Method::GET, path);
            let answer = Answer::to(request.header("X-Forwarded-Proto", came_by)).await;
            let header = answer.header("strict-transport-security");
            assert_eq!(header.starts_with("max-age="), told, "{setting} {came_by}: {header}");
        }
    }
}

#[tokio::test]
async fn what_answers_get_answers_head_without_a_body() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let path = conversation(&ada).await;
    for path in ["/", "/health", "/openapi.json", "/api/v1/users/me", &path, "/nothing"] {
        let get = ada.get(path).await;
        let head = Answer::to(ada.request(Method::HEAD, path)).await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.text(), "", "{path}");
        for header in ["content-type", "etag"] {
            assert_eq!(head.header(header), get.header(header), "{path}");
        }
    }
}

#[tokio::test]
async fn a_safe_method_sends_no_message() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let path = conversation(&ada).await;
    let stream = path.replace("/conversations/", "/stream/chat/") + "?message=Hi";
    Answer::to(ada.request(Method::HEAD, &stream)).await;
    assert_eq!(crate::support::messages(&ada, &path).await.len(), 0);
}

#[tokio::test]
async fn a_trailing_slash_changes_nothing() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let path = conversation(&ada).await;
    for path in ["/health", "/docs", "/api/v1/users/me", "/api/v1/conversations?limit=1", &path] {
        let (route, query) = path.split_once('?').unwrap_or((path, ""));
        let with_slash = ada.get(&format!("{route}/?{query}")).await;
        let without = ada.get(path).await;
        assert_eq!(with_slash.status, 200, "{path}");
        if path != "/health" {
            assert_eq!(with_slash.text(), without.text(), "{path}");
        }
    }
    let made = ada.post("/api/v1/conversations/", &json!({})).await;
    made.expect(201);
    let sent = ada.post(&format!("{path}/messages/"), &json!({"content": "Hi"})).await;
    sent.expect(200);
}

#[tokio::test]
async fn other_origins_may_call_where_they_are_listed() {
    let listed = "https://chat.example.com";
    let server = Setup::on(Engine::Sqlite).with("CORS_ORIGINS", listed).start().await;
    for (origin, allowed) in [(listed, listed), ("https://evil.example.com", "")] {
        let preflight = server
            .client()
            .request(Method::OPTIONS, "/api/v1/users/me")
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "PATCH")
            .header("Access-Control-Request-Headers", "authorization, content-type");
        let preflight = Answer::to(preflight).await;
        assert_eq!(preflight.header("access-control-allow-origin"), allowed, "{origin}");
        let get = server.client().request(Method::GET, "/health").header("Origin", origin);
        let get = Answer::to(get).await;
        assert_eq!(get.header("access-control-allow-origin"), allowed);
        assert_eq!(preflight.header("access-control-allow-credentials"), "");
        assert_eq!(get.header("access-control-allow-credentials"), "");
        let vary = get.header("vary").to_lowercase();
        assert!(vary.contains("origin"), "{origin}: {vary:?}");
        if !allowed.is_empty() {
            assert_eq!(preflight.header("access-control-max-age"), "7200");
            let exposed = get.header("access-control-expose-headers").to_lowercase();
            for name in ["etag", "ratelimit", "ratelimit-policy", "retry-after", "x-request-id"] {
                assert!(
                    exposed.split(", ").flat_map(|part| part.split(',')).any(|one| one == name)
                );
            }
        }
    }
}
