//! Registration that does not tell who is registered.

use repartee_tests::server::{Answer, Engine, Server, Setup};
use serde_json::json;

use crate::support::{PASSWORD, address, mail_to};

async fn register(server: &Server, name: &str) -> Answer {
    let body = json!({"email": address(name), "password": PASSWORD});
    server.client().post("/api/v1/auth/register", &body).await
}

#[tokio::test]
async fn a_taken_address_is_answered_like_a_free_one() {
    let setup = Setup::on(Engine::Sqlite).with("REPARTEE__AUTH__HIDE_REGISTRATION", "true");
    let server = setup.start().await;

    let free = register(&server, "ada").await;
    mail_to(&server, "ada", "Choose a new password", 1).await;
    let taken = register(&server, "ada").await;

    assert_eq!(free.expect(202), taken.expect(202));
    assert!(!free.text().contains("token"));
    mail_to(&server, "ada", "You have an account already", 1).await;
    // What was typed in at registration opens nothing, or it would tell.
    let body = json!({"email": address("ada"), "password": PASSWORD});
    let answer = server.client().post("/api/v1/auth/login", &body).await;
    answer.problem(401, "wrong_credentials");
    let named = json!({"email": address("grace"), "password": PASSWORD, "username": "grace"});
    let answer = server.client().post("/api/v1/auth/register", &named).await;
    answer.problem(422, "invalid_fields");
}
