//! Guessing at passwords is slow, and tells nothing.

use std::time::Duration;

use futures::future::join_all;
use repartee_tests::server::{Answer, Engine, Server, Setup};
use serde_json::{Value, json};

use crate::support::{
    PASSWORD, address, eventually, log_in, mail_to, on_both_databases, register, secret_in,
};

on_both_databases!(
    after_five_failures_a_name_waits_whether_it_exists_or_not,
    who_resets_the_password_need_not_wait,
);

const LONG: Duration = Duration::from_mins(1);

async fn try_as(server: &Server, name: &str, password: &str) -> Answer {
    let body = json!({"email": address(name), "password": password});
    server.client().post("/api/v1/auth/login", &body).await
}

/// Makes a name wait; gives every answer up to there, without what differs by nature.
async fn fail(server: &Server, name: &str, times: usize) -> Vec<Value> {
    let mut answers = Vec::new();
    for _ in 0..times {
        let mut problem = try_as(server, name, "wrong-password-1").await.json();
        problem["request_id"] = Value::Null;
        answers.push(problem);
    }
    answers
}

/// How long a name has to wait, where it has to. Seconds.
fn wait_of(answer: &Answer) -> u64 {
    if answer.status == 429 { answer.header("retry-after").parse().unwrap() } else { 0 }
}

async fn after_five_failures_a_name_waits_whether_it_exists_or_not(setup: Setup) {
    let server = setup.start().await;
    register(&server, "ada").await;

    let (known, unknown) = (fail(&server, "ada", 5).await, fail(&server, "nobody", 5).await);
    assert_eq!(known, unknown);
    assert!(known.iter().all(|answer| answer["code"] == "wrong_credentials"), "{known:?}");

    // Each failure after a wait doubles the next one, until it is not over too soon.
    for name in ["ada", "nobody"] {
        let waits = async || wait_of(&try_as(&server, name, "wrong-password-1").await) >= 8;
        eventually("it has to wait for long", LONG, waits).await;
        let waiting = try_as(&server, &name.to_uppercase(), PASSWORD).await;
        waiting.problem(429, "too_many_failures");
        assert!(wait_of(&waiting) >= 1);
    }
    // The username is another name.
    let body = json!({"username": "ada", "password": PASSWORD});
    server.client().post("/api/v1/auth/login", &body).await.expect(200);

    let logged_in = async || try_as(&server, "ada", PASSWORD).await.status == 200;
    eventually("the last wait is over", LONG, logged_in).await;
    let anew = fail(&server, "ada", 5).await;
    assert!(anew.iter().all(|answer| answer["code"] == "wrong_credentials"), "{anew:?}");
}

async fn who_resets_the_password_need_not_wait(setup: Setup) {
    let server = setup.start().await;
    register(&server, "ada").await;
    fail(&server, "ada", 5).await;
    let body = json!({"email": address("ada")});
    server.client().post("/api/v1/auth/password/forgot", &body).await.expect(202);
    let mail = mail_to(&server, "ada", "Choose a new password", 1).await;
    // Another one guesses on.
    let guessed = async || try_as(&server, "ada", "wrong-password-1").await.status == 401;
    eventually("the first wait is over", LONG, guessed).await;

    let body = json!({"token": secret_in(&mail, "reset"), "new_password": PASSWORD});
    server.client().post("/api/v1/auth/password/reset", &body).await.expect(204);

    log_in(&server, "ada").await;
}

#[tokio::test]
async fn many_who_log_in_at_once_all_get_in() {
    let server = Setup::on(Engine::Sqlite).start().await;
    register(&server, "ada").await;
    let client = server.client();
    let body = json!({"email": address("ada"), "password": PASSWORD});
    let answers = join_all((0..100).map(|_| client.post("/api/v1/auth/login", &body))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
}
