//! Models that fail.

use repartee_tests::server::{Client, Engine, Event, Server, Setup};
use serde_json::{Value, json};

use crate::support::{
    ask, assert_whole, conversation, messages, on_both_databases, somebody, text, words,
};

on_both_databases!(
    a_model_that_keeps_failing_is_asked_three_times_and_the_question_is_kept,
    what_was_written_before_the_break_is_kept,
    a_model_that_is_not_there_leaves_the_question_stored,
);

/// What is stored of a turn that failed.
async fn assert_failed_turn(client: &Client, conversation: &str, content: &str) -> Value {
    let stored = messages(client, conversation).await;
    assert_eq!(stored.len(), 2, "{stored:?}");
    assert_eq!((&stored[0]["role"], &stored[0]["status"]), (&json!("user"), &json!("complete")));
    assert_eq!(stored[1]["status"], "failed");
    assert_eq!(stored[1]["content"], content);
    stored[1].clone()
}

async fn streamed(server: &Server, client: &Client, model: &str) -> (String, Vec<Event>) {
    server.upstream().reset();
    let conversation = conversation(client).await;
    let body = json!({"content": "Go on", "model": model});
    let events = client.stream(&format!("{conversation}/messages"), &body).await.rest().await;
    assert_whole(&events);
    (conversation, events)
}

async fn a_model_that_keeps_failing_is_asked_three_times_and_the_question_is_kept(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;

    let answer = ask(&ada, &conversation, "Well?", "mock-500").await;

    let problem = answer.problem(502, "model_failed");
    assert!(!problem.to_string().contains("scripted"), "not the upstream's words: {problem}");
    assert_eq!(server.upstream().requests_for("mock-500").len(), 3);
    let reply = assert_failed_turn(&ada, &conversation, "").await;
    let generation = format!("/api/v1/generations/{}", text(&reply["generation_id"]));
    let generation = ada.get(&generation).await.expect(200);
    assert_eq!((&generation["state"], &generation["attempts"]), (&json!("failed"), &json!(3)));
    ask(&ada, &conversation, "Again?", "mock-1-0").await.expect(200);
}

async fn what_was_written_before_the_break_is_kept(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    for model in ["mock-cut", "mock-errormid", "mock-badjson"] {
        let (conversation, events) = streamed(&server, &ada, model).await;

        let end = events.last().unwrap();
        assert_eq!(end.name, "failed", "{model}");
        let end = end.json();
        assert_eq!(end["error"]["code"], "model_failed", "{model}");
        assert_eq!(end["error"]["status"], 502, "{model}");
        assert_eq!(end["message"]["content"], words(8), "{model}");
        assert_eq!(end["usage"]["estimated"], true, "{model}");
        assert!(end["usage"]["completion_tokens"].as_u64() > Some(0), "{model}");
        assert_eq!(server.upstream().requests().len(), 1, "{model}: never the same text twice");
        let stored = assert_failed_turn(&ada, &conversation, &words(8)).await;
        assert_eq!(stored, end["message"], "{model}");
    }
}

async fn a_model_that_is_not_there_leaves_the_question_stored(setup: Setup) {
    let server = setup.with("LLM_SERVICE_URL", "http://127.0.0.1:1").start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    ask(&ada, &conversation, "Anybody?", "mock-1-0").await.problem(502, "model_failed");
    assert_failed_turn(&ada, &conversation, "").await;
}

#[tokio::test]
async fn a_model_that_recovers_is_asked_again_and_nobody_notices() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    for (model, attempts) in
        [("mock-429-then-ok", 2), ("mock-503-times-2", 3), ("mock-500-times-1-after-1", 2)]
    {
        let (_, events) = streamed(&server, &ada, model).await;
        let end = events.last().unwrap();
        assert_eq!(end.name, "done", "{model}");
        assert_eq!(end.json()["message"]["content"], words(16), "{model}");
        assert_eq!(server.upstream().requests_for(model).len(), attempts, "{model}");
    }
}

#[tokio::test]
async fn what_a_model_refuses_is_not_asked_again() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    for model in ["mock-400", "mock-401", "mock-403", "mock-404"] {
        let conversation = conversation(&ada).await;
        let answer = ask(&ada, &conversation, "Please", model).await;
        answer.expect(502);
        assert_eq!(server.upstream().requests_for(model).len(), 1, "{model}");
        assert_failed_turn(&ada, &conversation, "").await;
    }
}

#[tokio::test]
async fn a_provider_that_asks_for_too_long_a_wait_is_given_up() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let model = "mock-503-times-1-after-3600";
    ask(&ada, &conversation, "Now", model).await.problem(502, "model_failed");
    assert_eq!(server.upstream().requests_for(model).len(), 1);
}

#[tokio::test]
async fn a_model_that_does_not_begin_in_time_is_given_up() {
    let setup = Setup::on(Engine::Sqlite).with("REPARTEE__REPLIES__FIRST_TOKEN_SECONDS", "1");
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    for model in ["mock-hang", "mock-slowfirst-20000"] {
        server.upstream().reset();
        let conversation = conversation(&ada).await;
        ask(&ada, &conversation, "Hello?", model).await.problem(504, "model_timeout");
        assert!(server.upstream().reaches(|stats| stats.aborted == 1).await, "{model}");
        assert_failed_turn(&ada, &conversation, "").await;
    }
}

#[tokio::test]
async fn a_model_that_falls_silent_keeps_what_it_wrote() {
    let setup = Setup::on(Engine::Sqlite).with("REPARTEE__REPLIES__IDLE_SECONDS", "1");
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (conversation, events) = streamed(&server, &ada, "mock-hangmid").await;
    let end = events.last().unwrap();
    assert_eq!(end.name, "failed");
    assert_eq!(end.json()["error"]["code"], "model_idle_timeout");
    assert_eq!(end.json()["error"]["status"], 504);
    assert!(server.upstream().reaches(|stats| stats.aborted == 1).await);
    assert_failed_turn(&ada, &conversation, &words(8)).await;
}

#[tokio::test]
async fn a_reply_has_so_long_in_all() {
    let setup = Setup::on(Engine::Sqlite).with("REPARTEE__REPLIES__TOTAL_SECONDS", "1");
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (_, events) = streamed(&server, &ada, "mock-1000-20").await;
    let end = events.last().unwrap();
    assert_eq!(end.name, "failed");
    assert_eq!(end.json()["error"]["code"], "model_total_timeout");
    assert!(words(1000).starts_with(text(&end.json()["message"]["content"])));
}

#[tokio::test]
async fn fallbacks_are_asked_in_order_and_the_one_that_answered_is_named() {
    let models = r#"[
        { id = "first", provider = "llm_service", upstream_model = "mock-500", fallbacks = ["second", "third"] },
        { id = "second", provider = "llm_service", upstream_model = "mock-404" },
        { id = "third", provider = "llm_service", upstream_model = "mock-4-0" },
    ]"#;
    let server = Setup::on(Engine::Sqlite).with("REPARTEE__MODELS", models).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let turn = ask(&ada, &conversation, "Anyone", "first").await.expect(200);
    assert_eq!(turn["reply"]["model"], "third");
    assert_eq!(turn["reply"]["content"], words(4));
    let asked: Vec<_> =
        server.upstream().requests().iter().map(|one| one.model().to_owned()).collect();
    assert_eq!(asked, ["mock-500", "mock-500", "mock-500", "mock-404", "mock-4-0"]);
}
