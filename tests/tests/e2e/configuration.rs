//! Settings: what is shown, and what stops the start.

use std::process::Output;

use repartee_tests::server::{Engine, Setup};

/// One clear line on stderr, and nothing else.
fn the_line(output: &Output, code: i32) -> String {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr.trim_end().to_owned()
}

async fn refused(name: &str, value: &str) -> String {
    let site = Setup::on(Engine::Sqlite).with(name, value).site().await;
    let line = the_line(&site.run(&["serve"]).await, 2);
    assert!(line.contains(name), "the source is named: {line}");
    line
}

#[tokio::test]
async fn what_is_wrong_stops_the_start_with_one_line() {
    for (name, value, key) in [
        ("REPARTEE__HTTP__PROT", "80", "http.prot"),
        ("REPARTEE__NOTHING", "1", "nothing"),
        ("REPARTEE__HTTP__PORT", "http", "http.port"),
        ("REPARTEE__HTTP__DRAIN_SECONDS", "-1", "http.drain_seconds"),
        ("PORT", "65536", "http.port"),
        ("REPARTEE__AUTH__REGISTRATION", "maybe", "auth.registration"),
        ("DATABASE_URL", "mysql://db/chat", "database.url"),
        ("LLM_SERVICE_URL", "nowhere", "providers.llm_service.base_url"),
        ("REPARTEE__MODELS", "[{ id = 5 }]", "models"),
    ] {
        let line = refused(name, value).await;
        assert!(line.contains(key), "{line}");
    }
    let line = refused("REPARTEE_ENV", "staging").await;
    assert!(line.contains("staging"), "{line}");
}

#[tokio::test]
async fn production_wants_a_secret_and_no_open_door() {
    let site = Setup::on(Engine::Sqlite).with("REPARTEE_ENV", "production").site().await;
    let line = the_line(&site.run(&["serve"]).await, 2);
    assert!(line.contains("auth.secret"), "{line}");
    let site = Setup::on(Engine::Sqlite)
        .with("REPARTEE_ENV", "production")
        .with("JWT_SECRET", "a secret of at least thirty-two bytes")
        .with("CORS_ORIGIN", "*")
        .site()
        .await;
    let line = the_line(&site.run(&["serve"]).await, 2);
    assert!(line.contains("http.cors_origins"), "{line}");
}

#[tokio::test]
async fn what_is_in_force_is_shown_and_no_secret_is() {
    let site = Setup::on(Engine::Sqlite)
        .with("DATABASE_URL", "postgres://app:hunter2-db@db/chat")
        .with("JWT_SECRET", "hunter2-jwt-of-at-least-32-bytes!")
        .with("OPENAI_API_KEY", "hunter2-openai")
        .with("REPARTEE__BOOTSTRAP__ADMIN_EMAIL", "root@example.com")
        .with("REPARTEE__BOOTSTRAP__ADMIN_PASSWORD", "hunter2-admin")
        .with("REPARTEE__HTTP__DRAIN_SECONDS", "7")
        .site()
        .await;
    let output = site.run(&["config"]).await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("postgres://app:********@db/chat"), "{shown}");
    assert!(shown.contains("drain_seconds = 7 #"), "{shown}");
    assert!(shown.contains("admin_email = \"root@example.com\""), "{shown}");
}

#[tokio::test]
async fn an_embedded_database_has_one_process() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let line = the_line(&server.site.run(&["serve"]).await, 1);
    assert!(line.contains("in use by another process"), "{line}");
    server.client().get("/health").await.expect(200);
}

#[tokio::test]
async fn a_database_that_does_not_answer_stops_the_start_without_its_password() {
    let nowhere = "postgres://app:hunter2@127.0.0.1:1/chat?sslmode=disable";
    let site = Setup::on(Engine::Sqlite).with("DATABASE_URL", nowhere).site().await;
    let line = the_line(&site.run(&["serve"]).await, 1);
    assert!(line.contains("cannot connect to the database"), "{line}");
    assert!(!line.contains("hunter2"), "{line}");
}

#[tokio::test]
async fn a_port_that_is_taken_stops_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let site = Setup::on(Engine::Sqlite).with("PORT", &port).site().await;
    let line = the_line(&site.run(&["serve"]).await, 1);
    assert!(line.contains(&format!("127.0.0.1:{port}")), "{line}");
}

#[tokio::test]
async fn a_missing_database_is_created() {
    let server = Setup::on(Engine::Postgres).start().await;
    server.logs("created the database").await;
    let health = server.client().get("/health").await.expect(200);
    assert_eq!(health["database"], "connected");
}
