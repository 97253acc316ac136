//! A provider that keeps failing isn't asked for a while.

use repartee_tests::{
    server::{Client, Engine, Server, Setup},
    upstream::Upstream,
};
use serde_json::Value;

use crate::support::{ask, conversation, messages, somebody, text, words};

const MODELS: &str = r#"[
    { id = "bad", provider = "llm_service", upstream_model = "mock-500" },
    { id = "good", provider = "llm_service", upstream_model = "mock-4-0" },
    { id = "backed", provider = "llm_service", upstream_model = "mock-4-0", fallbacks = ["other"] },
    { id = "other", provider = "openai", upstream_model = "mock-6-0" },
]"#;

/// One model here, another at a provider of its own.
async fn two_providers(attempts: &str) -> (Server, Upstream) {
    let other = Upstream::start().await;
    let setup = Setup::on(Engine::Sqlite)
        .with("REPARTEE__MODELS", MODELS)
        .with("REPARTEE__REPLIES__ATTEMPTS", attempts)
        .with("OPENAI_API_KEY", "the other provider's")
        .with("OPENAI_BASE_URL", other.base_url());
    (setup.start().await, other)
}

async fn fail(client: &Client, times: usize) {
    for _ in 0..times {
        let conversation = conversation(client).await;
        ask(client, &conversation, "Well?", "bad").await.problem(502, "model_failed");
    }
}

/// The generation that wrote a reply.
async fn generation(client: &Client, reply: &Value) -> Value {
    client.get(&format!("/api/v1/generations/{}", text(&reply["generation_id"]))).await.expect(200)
}

#[tokio::test]
async fn ten_failed_turns_in_a_row_close_a_provider() {
    let (server, other) = two_providers("1").await;
    let ada = somebody(&server, "ada").await;
    fail(&ada, 9).await;
    ask(&ada, &conversation(&ada).await, "And now?", "good").await.expect(200);
    // Not in a row: it is asked as before.
    fail(&ada, 10).await;
    assert_eq!(server.upstream().requests().len(), 20);

    let refused = conversation(&ada).await;
    let answer = ask(&ada, &refused, "And now?", "good").await;

    answer.problem(503, "model_unavailable");
    assert_eq!(server.upstream().requests().len(), 20, "nobody was asked");
    let stored = messages(&ada, &refused).await;
    assert_eq!(stored.len(), 2, "the question stays stored");
    assert_eq!((text(&stored[1]["status"]), text(&stored[1]["content"])), ("failed", ""));
    // Another provider is another circuit.
    let turn = ask(&ada, &conversation(&ada).await, "You?", "other").await.expect(200);
    assert_eq!(turn["reply"]["content"], words(6));
    assert_eq!(other.requests().len(), 1);
}

#[tokio::test]
async fn a_closed_provider_is_passed_over_for_the_fallback() {
    let (server, other) = two_providers("1").await;
    let ada = somebody(&server, "ada").await;
    fail(&ada, 10).await;
    let asked = server.upstream().requests().len();

    let conversation = conversation(&ada).await;
    let turn = ask(&ada, &conversation, "Anybody?", "backed").await.expect(200);

    assert_eq!(turn["reply"]["content"], words(6));
    assert_eq!(turn["reply"]["model"], "other");
    assert_eq!(server.upstream().requests().len(), asked);
    assert_eq!(other.requests().len(), 1);
    let generation = generation(&ada, &turn["reply"]).await;
    assert_eq!(generation["model"], "other");
    assert_eq!(generation["attempts"], 1);
    assert_eq!(messages(&ada, &conversation).await[1]["model"], "other");
}

#[tokio::test]
async fn attempts_of_every_model_are_counted_with_the_one_that_answered() {
    let models = r#"[
        { id = "first", provider = "llm_service", upstream_model = "mock-500", fallbacks = ["second"] },
        { id = "second", provider = "llm_service", upstream_model = "mock-503-times-1" },
    ]"#;
    let server = Setup::on(Engine::Sqlite).with("REPARTEE__MODELS", models).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;

    let turn = ask(&ada, &conversation, "Who?", "first").await.expect(200);

    assert_eq!(server.upstream().requests().len(), 5);
    assert_eq!(turn["reply"]["model"], "second");
    let generation = generation(&ada, &turn["reply"]).await;
    assert_eq!(generation["attempts"], 5);
    assert_eq!(generation["model"], "second");
}
