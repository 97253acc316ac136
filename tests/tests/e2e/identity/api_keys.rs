//! Programs with keys.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta};
use repartee_tests::server::{Client, Closed, Engine, Server, Setup};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{
    WITHIN_A_SECOND, ask, conversation, eventually, id_of_user, list, messages, on_both_databases,
    on_replicas, somebody, text,
};

on_both_databases!(
    a_program_converses_with_a_key,
    a_key_asks_its_models_alone,
    a_revoked_key_closes_what_it_opened,
    nobody_sees_or_revokes_somebody_elses_keys,
);
on_replicas!(a_key_that_is_revoked_elsewhere_is_good_for_nothing_within_a_second);

const KEYS: &str = "/api/v1/api-keys";

async fn make(client: &Client, body: Value) -> Value {
    client.post(KEYS, &body).await.expect(201)
}

/// A program of theirs, and the path of its key.
async fn program(client: &Client, server: &Server, mut body: Value) -> (Client, String) {
    body["name"] = json!("a script");
    let made = make(client, body).await;
    let path = format!("{KEYS}/{}", text(&made["id"]));
    (server.client().with_token(text(&made["secret"])), path)
}

async fn listed(client: &Client) -> Vec<Value> {
    list(&client.get(KEYS).await.expect(200)["data"]).to_vec()
}

async fn a_program_converses_with_a_key(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let answer = ada.post(KEYS, &json!({"name": "a script"})).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let made = answer.expect(201);
    let secret = text(&made["secret"]);
    assert_eq!(secret.len(), 47);
    assert_eq!((&secret[..4], text(&made["prefix"])), ("rpt_", &secret[..12]));

    let program = server.client().with_token(secret);
    let hers = conversation(&program).await;
    ask(&program, &hers, "Hello", "mock-4-0").await.expect(200);

    assert_eq!(messages(&ada, &hers).await.len(), 2, "what a key makes is its owner's");
    let me = program.get("/api/v1/users/me").await.expect(200);
    assert_eq!(me["username"], "ada");
    eventually("the use is noted", WITHIN_A_SECOND, async || {
        listed(&ada).await[0]["last_used_at"].is_string()
    })
    .await;
    let known = listed(&ada).await;
    assert!(!known[0].as_object().unwrap().contains_key("secret"), "{known:?}");
    for bad in
        [&secret[..46], &format!("{}{}", &secret[..46], "!"), &format!("rpt_{}", "a".repeat(43))]
    {
        let refused = server.client().with_token(bad).get("/api/v1/users/me").await;
        refused.problem(401, "unauthenticated");
    }
    assert!(!server.log().iter().any(|line| line.contains(secret)), "the log has the secret");
}

async fn a_key_asks_its_models_alone(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let hers = conversation(&ada).await;
    let (program, _) = program(&ada, &server, json!({"models": ["mock-2-0"]})).await;

    // The default is another one.
    for body in [json!({"content": "Hello"}), json!({"content": "Hello", "model": "mock-9-0"})] {
        let refused = program.post(&format!("{hers}/messages"), &body).await;
        refused.problem(403, "model_not_allowed");
    }
    assert_eq!(messages(&ada, &hers).await.len(), 0);
    ask(&program, &hers, "Hello", "mock-2-0").await.expect(200);
}

async fn a_revoked_key_closes_what_it_opened(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (program, path) = program(&ada, &server, json!({"scopes": ["read"]})).await;
    let token = program.token.clone().unwrap();
    let mut feed = program.feed("/api/v1/events", None).await;
    let mut by_query = server.client().feed(&format!("/api/v1/events?token={token}"), None).await;
    let mut socket = program.socket(&format!("/ws/chat/{}", id_of_user(&ada).await)).await;
    let mut kept = ada.feed("/api/v1/events", None).await;

    ada.delete(&path).await.expect(204);

    let ends = async { tokio::join!(feed.ended(), by_query.ended()) };
    timeout(WITHIN_A_SECOND, ends).await.expect("the streams go on");
    assert_eq!(socket.closed(WITHIN_A_SECOND).await, Closed::With(4401));
    program.get("/api/v1/users/me").await.problem(401, "unauthenticated");
    ada.delete(&path).await.expect(204);
    assert!(listed(&ada).await[0]["revoked_at"].is_string());
    conversation(&ada).await;
    assert_eq!(kept.next().await.name, "conversation.created");
}

async fn nobody_sees_or_revokes_somebody_elses_keys(setup: Setup) {
    let server = setup.start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let (program, path) = program(&ada, &server, json!({})).await;
    assert_eq!(listed(&grace).await, Vec::<Value>::new());
    let nobodys = format!("{KEYS}/01939c2e-7b9a-7000-8000-000000000000");
    for path in [path.as_str(), &nobodys, "/api/v1/api-keys/nonsense"] {
        grace.delete(path).await.problem(404, "api_key_not_found");
    }
    program.get("/api/v1/users/me").await.expect(200);
    program.get(KEYS).await.problem(403, "not_for_keys");
    program.delete(&path).await.problem(403, "not_for_keys");
}

async fn a_key_that_is_revoked_elsewhere_is_good_for_nothing_within_a_second(setup: Setup) {
    let [here, there] = setup.replicas().await;
    let ada = somebody(&here, "ada").await;
    let (program, path) = program(&ada, &there, json!({})).await;
    let mut feed = program.feed("/api/v1/events", None).await;
    program.get("/api/v1/users/me").await.expect(200);

    ada.delete(&path).await.expect(204);

    timeout(WITHIN_A_SECOND, feed.ended()).await.expect("the stream goes on");
    eventually("it is refused", WITHIN_A_SECOND, async || {
        program.get("/api/v1/users/me").await.status == 401
    })
    .await;
}

#[tokio::test]
async fn what_a_key_opened_ends_when_it_expires() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let clock = make(&ada, json!({"name": "what time it is"})).await;
    let now = DateTime::parse_from_rfc3339(text(&clock["created_at"])).unwrap();
    let end = (now + TimeDelta::seconds(3)).to_rfc3339_opts(SecondsFormat::Micros, true);
    let (program, _) = program(&ada, &server, json!({"expires_at": end})).await;

    let mut feed = program.feed("/api/v1/events", None).await;

    let limit = Duration::from_secs(3) + WITHIN_A_SECOND;
    timeout(limit, feed.ended()).await.expect("the stream goes on");
    program.get("/api/v1/users/me").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_user_has_a_hundred_live_keys_at_most() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let mut last = Value::Null;
    for number in 0..100 {
        last = make(&ada, json!({"name": format!("number {number}")})).await;
    }
    let refused = ada.post(KEYS, &json!({"name": "one too many"})).await;
    refused.problem(409, "too_many_keys");
    ada.delete(&format!("{KEYS}/{}", text(&last["id"]))).await.expect(204);
    make(&ada, json!({"name": "in its place"})).await;
}
