//! A reply belongs to the server, not to the connection that asked for it.

use std::time::Duration;

use repartee_tests::server::{Answer, Client, Server, Setup};
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use crate::support::{
    assert_whole, conversation, generation_of, messages, on_both_databases, somebody, text, words,
};

on_both_databases!(
    a_reader_who_leaves_changes_nothing,
    a_caller_who_does_not_wait_changes_nothing,
    a_deleted_conversation_takes_its_reply_along,
);

/// Reads a reply to its end, and checks that it is all there.
async fn assert_written(server: &Server, client: &Client, generation: &str, conversation: &str) {
    let events = client.resume(&format!("{generation}/events"), None).await.rest().await;
    assert_whole(&events);
    assert_eq!(events.last().unwrap().name, "done");
    let stored = messages(client, conversation).await;
    assert_eq!(stored[1]["status"], "complete");
    assert_eq!(stored[1]["content"], words(20));
    let stats = server.upstream().stats();
    assert_eq!((stats.finished, stats.aborted), (1, 0));
}

async fn a_reader_who_leaves_changes_nothing(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let body = json!({"content": "Slowly", "model": "mock-20-20"});
    let mut events = ada.stream(&format!("{conversation}/messages"), &body).await;
    let read = events.take(4).await;

    drop(events);

    assert_written(&server, &ada, &generation_of(&read[0]), &conversation).await;
}

async fn a_caller_who_does_not_wait_changes_nothing(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let body = json!({"content": "Slowly", "model": "mock-20-200"});
    let request = ada.request(Method::POST, &format!("{conversation}/messages")).json(&body);
    let asking = tokio::task::JoinSet::from_iter([Answer::try_to(request)]);
    assert!(server.upstream().reaches(|stats| stats.open == 1).await);

    drop(asking);

    let stored = messages(&ada, &conversation).await;
    assert_eq!(stored[1]["status"], "streaming");
    let generation = format!("/api/v1/generations/{}", text(&stored[1]["generation_id"]));
    assert_written(&server, &ada, &generation, &conversation).await;
}

async fn a_deleted_conversation_takes_its_reply_along(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let body = json!({"content": "Slowly", "model": "mock-30-20"});
    let mut events = ada.stream(&format!("{conversation}/messages"), &body).await;
    let start = events.take(3).await.remove(0);

    ada.delete(&conversation).await.expect(204);

    let rest = timeout(Duration::from_secs(10), events.rest()).await.expect("the stream ends");
    assert_eq!(rest.iter().filter(|event| event.is_terminal()).count(), 1, "{rest:?}");
    ada.get(&conversation).await.problem(404, "conversation_not_found");
    ada.get(&generation_of(&start)).await.problem(404, "generation_not_found");
    let again = ada.get(&format!("{}/events", generation_of(&start))).await;
    again.problem(404, "generation_not_found");
    ada.delete(&conversation).await.problem(404, "conversation_not_found");
}
