//! Who may become a user.

use futures::future::join_all;
use repartee_tests::server::{Engine, Setup};
use serde_json::json;

use crate::support::{PASSWORD, address, list, on_both_databases, register};

on_both_databases!(
    an_address_and_a_username_belong_to_one_user,
    of_many_registrations_at_once_one_succeeds,
    an_empty_database_gets_its_administrator_once,
);

async fn an_address_and_a_username_belong_to_one_user(setup: Setup) {
    let server = setup.start().await;
    register(&server, "ada").await;
    for (email, username, code) in [
        ("ada@example.com", "other", "email_taken"),
        ("ADA@EXAMPLE.COM", "other", "email_taken"),
        ("other@example.com", "ada", "username_taken"),
        ("other@example.com", "ADA", "username_taken"),
    ] {
        let body = json!({"email": email, "password": PASSWORD, "username": username});
        server.client().post("/api/v1/auth/register", &body).await.problem(409, code);
    }
    let body = json!({"email": address("other"), "password": PASSWORD});
    server.client().post("/api/v1/auth/register", &body).await.expect(201);
}

async fn of_many_registrations_at_once_one_succeeds(setup: Setup) {
    let server = setup.start().await;
    let client = server.client();
    let body = json!({"email": address("ada"), "password": PASSWORD});
    let answers = join_all((0..6).map(|_| client.post("/api/v1/auth/register", &body))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.problem(409, "email_taken");
    }
}

async fn an_empty_database_gets_its_administrator_once(setup: Setup) {
    let mut server = setup
        .with("REPARTEE__BOOTSTRAP__ADMIN_EMAIL", "root@example.com")
        .with("REPARTEE__BOOTSTRAP__ADMIN_PASSWORD", PASSWORD)
        .start()
        .await;
    let body = json!({"email": address("root"), "password": PASSWORD});
    let signed_in = server.client().post("/api/v1/auth/login", &body).await.expect(200);
    assert_eq!(signed_in["user"]["role"], "admin");

    server.site.set("REPARTEE__BOOTSTRAP__ADMIN_EMAIL", "second@example.com");
    server.restart().await;

    let body = json!({"email": address("second"), "password": PASSWORD});
    server.client().post("/api/v1/auth/login", &body).await.problem(401, "wrong_credentials");
    let body = json!({"email": address("root"), "password": PASSWORD});
    server.client().post("/api/v1/auth/login", &body).await.expect(200);
}

#[tokio::test]
async fn a_closed_server_registers_nobody() {
    let server =
        Setup::on(Engine::Sqlite).with("REPARTEE__AUTH__REGISTRATION", "closed").start().await;
    let body = json!({"email": address("ada"), "password": PASSWORD});
    let answer = server.client().post("/api/v1/auth/register", &body).await;
    answer.problem(403, "registration_closed");
    server.client().post("/api/v1/auth/login", &body).await.problem(401, "wrong_credentials");
}

#[tokio::test]
async fn nobody_makes_themselves_an_administrator() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let body = json!({"email": address("eve"), "password": PASSWORD, "role": "admin",
        "is_active": true, "id": "00000000-0000-0000-0000-000000000000"});
    let made = server.client().post("/api/v1/auth/register", &body).await.expect(201);
    assert_eq!(made["user"]["role"], "user");
    assert_ne!(made["user"]["id"], body["id"]);
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let body = json!({"email": "nowhere", "password": PASSWORD, "username": "a\u{0}b",
        "first_name": "x".repeat(101), "language": "not a language"});
    let answer = server.client().post("/api/v1/auth/register", &body).await;
    let problem = answer.problem(422, "invalid_fields");
    let mut fields: Vec<_> =
        list(&problem["errors"]).iter().filter_map(|error| error["field"].as_str()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["email", "first_name", "language", "username"]);
}
