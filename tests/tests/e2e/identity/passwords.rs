//! What a password must be, and what an answer to a wrong one does not tell.

use repartee_tests::server::{Engine, Setup};
use serde_json::{Value, json};

use crate::support::{PASSWORD, address, list, register};

#[tokio::test]
async fn wrong_unknown_and_empty_are_answered_alike() {
    let server = Setup::on(Engine::Sqlite).start().await;
    register(&server, "ada").await;
    let mut answers = Vec::new();
    for (name, password) in [
        (json!({"email": address("ada")}), "wrong-password-1"),
        (json!({"email": address("ada")}), ""),
        (json!({"email": address("nobody")}), PASSWORD),
        (json!({"email": "no address"}), PASSWORD),
        (json!({"email": ""}), PASSWORD),
        (json!({"username": "ada"}), "wrong-password-1"),
        (json!({"username": "nobody"}), PASSWORD),
        (json!({"username": "\u{0}"}), PASSWORD),
    ] {
        let mut body = name;
        body["password"] = json!(password);
        let answer = server.client().post("/api/v1/auth/login", &body).await;
        let mut problem = answer.problem(401, "wrong_credentials");
        problem["request_id"] = Value::Null;
        answers.push(problem);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
}

#[tokio::test]
async fn a_weak_password_is_refused_by_name() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let too_long = "a1".repeat(129);
    for password in [
        "",
        "short-1",
        "letters-only",
        "1234567890123",
        "password1",
        "Password1",
        "augusta.ada1@example.com",
        "augusta.ada1",
        &*too_long,
    ] {
        let body = json!({"email": "Augusta.Ada1@example.com", "password": password});
        let answer = server.client().post("/api/v1/auth/register", &body).await;
        let problem = answer.problem(422, "invalid_fields");
        let errors = list(&problem["errors"]);
        assert_eq!(errors.len(), 1, "{password}: {problem}");
        assert_eq!(errors[0]["field"], "password", "{password}");
        assert!(errors[0]["code"].is_string() && errors[0]["detail"].is_string(), "{problem}");
        assert!(password.is_empty() || !problem.to_string().contains(password), "{problem}");
    }
}

#[tokio::test]
async fn the_longest_password_and_any_script_are_fine() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let longest = "ß1".repeat(128);
    for (name, password) in [("long", &*longest), ("thai", "รหัสผ่าน๑๒"), ("emoji", "🦀🦀🦀🦀🦀🦀x9")]
    {
        let body = json!({"email": address(name), "password": password});
        server.client().post("/api/v1/auth/register", &body).await.expect(201);
        server.client().post("/api/v1/auth/login", &body).await.expect(200);
    }
}

#[tokio::test]
async fn two_keyboards_that_write_the_same_password_differently_sign_in_alike() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let composed = json!({"email": address("asa"), "password": "\u{c5}ngstr\u{f6}m-10"});
    let decomposed = json!({"email": address("asa"), "password": "A\u{30a}ngstro\u{308}m-10"});
    server.client().post("/api/v1/auth/register", &composed).await.expect(201);
    server.client().post("/api/v1/auth/login", &decomposed).await.expect(200);
}

#[tokio::test]
async fn the_rules_are_the_operators() {
    let server = Setup::on(Engine::Sqlite)
        .with("REPARTEE__AUTH__PASSWORD_MIN_LENGTH", "15")
        .with("REPARTEE__AUTH__PASSWORD_REQUIRE_LETTER_AND_DIGIT", "false")
        .start()
        .await;
    let register = async |password: &str| {
        let body = json!({"email": address("ada"), "password": password});
        server.client().post("/api/v1/auth/register", &body).await
    };
    register("fourteen-chars").await.problem(422, "invalid_fields");
    register("fifteen chars !").await.expect(201);
}
