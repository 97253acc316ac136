//! Titles that are written in the background.

use repartee_tests::server::{Client, Setup};
use serde_json::{Value, json};

use crate::support::{
    WITHIN_A_SECOND, ask, conversation, conversation_with, eventually, on_both_databases, somebody,
    text, words,
};

on_both_databases!(a_conversation_gets_a_title_from_its_first_exchange);

async fn title(client: &Client, path: &str) -> Value {
    client.get(path).await.expect(200)["title"].clone()
}

async fn a_conversation_gets_a_title_from_its_first_exchange(setup: Setup) {
    let setup = setup.with("REPARTEE__REPLIES__TITLES", "true");
    let setup = setup.with("REPARTEE__LIMITS__CONCURRENT_GENERATIONS", "1");
    let server = setup.with("REPARTEE__LIMITS__MONTHLY_TOKEN_BUDGET", "100000").start().await;
    let ada = somebody(&server, "ada").await;
    let mut feed = ada.feed("/api/v1/events", None).await;
    let path = conversation(&ada).await;

    ask(&ada, &path, "Which tea keeps me awake?", "mock-4-0").await.expect(200);

    while feed.next().await.name != "conversation.updated" {}
    assert_eq!(title(&ada, &path).await, words(4).trim());
    let asked = server.upstream().requests_for("mock-4-0");
    assert_eq!(asked.len(), 2);
    assert!(text(&asked[1].messages()[1]["content"]).contains("Which tea keeps me awake?"));

    // A title of one's own stays, and one that nobody writes is the question's beginning.
    let mine = conversation_with(&ada, json!({"title": "Mine"})).await;
    ask(&ada, &mine, "Why is that?", "mock-4-0").await.expect(200);
    let path = conversation(&ada).await;
    ask(&ada, &path, "Why is that?", "mock-empty").await.expect(200);
    let is_titled = async || title(&ada, &path).await == "Why is that?";
    eventually("a title", WITHIN_A_SECOND, is_titled).await;
    assert_eq!(title(&ada, &mine).await, "Mine");
}
