//! SIGTERM, and what becomes of the replies that are being written.

use std::time::Duration;

use repartee_tests::server::{Client, Event, Server, Setup};
use serde_json::json;
use tokio::time::{interval, timeout};

use crate::support::{
    ask, assert_whole, conversation, messages, on_both_databases, somebody, words, written,
};

on_both_databases!(
    a_reply_is_finished_before_the_server_stops,
    a_second_signal_interrupts_and_keeps_what_was_written,
    what_takes_too_long_is_interrupted,
);

/// Waits until the server says that it wants no more traffic.
async fn not_ready(client: &Client) {
    let mut ticks = interval(Duration::from_millis(20));
    let wait = async {
        while client.get("/health/ready").await.status != 503 {
            ticks.tick().await;
        }
    };
    timeout(Duration::from_secs(30), wait).await.expect("the server is still ready");
}

/// Ends the process well, and looks at what is stored with another one.
async fn after_the_end(server: &mut Server, token: &str) -> Client {
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log().join("\n"));
    server.restart().await;
    server.client().with_token(token)
}

async fn a_reply_is_finished_before_the_server_stops(setup: Setup) {
    let mut server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let path = format!("{conversation}/messages");
    let body = json!({"content": "Slowly", "model": "mock-40-150"});
    let mut stream = ada.stream(&path, &body).await;
    let mut events = stream.take(4).await;

    server.terminate().await;
    not_ready(&ada).await;

    let other = crate::support::conversation(&ada).await;
    let refused = ask(&ada, &other, "One more", "mock-1-0").await;
    refused.problem(503, "shutting_down");
    assert_ne!(refused.header("retry-after"), "");
    assert_eq!(refused.header("x-should-retry"), "");
    ada.get("/health/live").await.expect(200);
    ada.get(&conversation).await.expect(200);
    events.extend(stream.rest().await);
    assert_whole(&events);
    assert_eq!(events.last().unwrap().name, "done");
    assert_eq!(written(&events), words(40));
    let ada = after_the_end(&mut server, &ada.token.unwrap()).await;
    assert_eq!(messages(&ada, &conversation).await[1]["content"], words(40));
    assert_eq!(messages(&ada, &other).await.len(), 0);
}

/// A reply that was cut short by the server's end.
async fn assert_interrupted(server: &mut Server, ada: &Client, path: &str, events: &[Event]) {
    assert_whole(events);
    let end = events.last().unwrap();
    assert_eq!(end.name, "interrupted");
    let text = written(events);
    assert!(!text.is_empty() && words(1000).starts_with(&text), "{text}");
    let token = ada.token.clone().unwrap();
    let ada = after_the_end(server, &token).await;
    let stored = messages(&ada, path).await;
    assert_eq!(stored[1]["status"], "interrupted");
    assert_eq!(stored[1], end.json()["message"]);
}

async fn a_second_signal_interrupts_and_keeps_what_was_written(setup: Setup) {
    let mut server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let body = json!({"content": "For long", "model": "mock-1000-50"});
    let mut stream = ada.stream(&format!("{conversation}/messages"), &body).await;
    let mut events = stream.take(4).await;

    server.terminate().await;
    not_ready(&ada).await;
    events.extend(stream.take(2).await);
    server.terminate().await;

    events.extend(stream.rest().await);
    assert_interrupted(&mut server, &ada, &conversation, &events).await;
}

async fn what_takes_too_long_is_interrupted(setup: Setup) {
    let mut server = setup.with("REPARTEE__HTTP__DRAIN_SECONDS", "1").start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let body = json!({"content": "For long", "model": "mock-1000-50"});
    let mut stream = ada.stream(&format!("{conversation}/messages"), &body).await;
    let mut events = stream.take(4).await;

    server.terminate().await;

    events.extend(stream.rest().await);
    assert_interrupted(&mut server, &ada, &conversation, &events).await;
}
