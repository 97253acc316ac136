//! SIGTERM while people read in every way.

use std::time::Duration;

use repartee_tests::server::{Client, Closed, Event, Server, Setup};
use serde_json::{Value, json};

use crate::support::{
    ask, assert_whole, begin, conversation, eventually, id_of, messages, on_both_databases, socket,
    somebody, words, written,
};

on_both_databases!(
    every_reader_gets_the_end_and_sockets_are_sent_away,
    a_second_signal_tells_every_reader_of_the_interruption,
);

const SOON: Duration = Duration::from_secs(30);

async fn not_ready(server: &Server) {
    eventually("the server wants no more traffic", SOON, async || {
        server.client().get("/health/ready").await.status == 503
    })
    .await;
}

/// How the two replies ended that a feed was cut off from, read on after the restart.
async fn both_outcomes(client: &Client, mut told: Vec<Event>) -> Vec<Value> {
    let is_end = |event: &&Event| event.name == "generation.ended";
    let cursor = told.last().unwrap().id.clone();
    let mut feed = client.feed("/api/v1/events", Some(&cursor)).await;
    while told.iter().filter(is_end).count() < 2 {
        told.push(feed.next().await);
    }
    told.iter().filter(is_end).map(|event| event.json()["outcome"].clone()).collect()
}

async fn every_reader_gets_the_end_and_sockets_are_sent_away(setup: Setup) {
    let mut server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let path = conversation(&ada).await;
    let other = conversation(&ada).await;
    let mut feed = ada.feed("/api/v1/events", None).await;
    let mut writing = socket(&ada).await;
    let mut idle = socket(&ada).await;
    let mut stream = begin(&ada, &path, "mock-40-150").await;
    let mut events = stream.take(3).await;
    let body = json!({"conversation_id": id_of(&other), "content": "x", "model": "mock-40-150"});
    writing.send("send_message", body).await;
    writing.wait_for("message_delta").await;

    server.terminate().await;
    not_ready(&server).await;

    ask(&ada, &conversation(&ada).await, "One more", "mock-1-0")
        .await
        .problem(503, "shutting_down");
    events.extend(stream.rest().await);
    assert_whole(&events);
    assert_eq!(written(&events), words(40));
    let frames = writing.rest_of_reply().await;
    assert_eq!(frames.last().unwrap().kind, "message_completed");
    assert_eq!(writing.closed(SOON).await, Closed::With(1001));
    assert_eq!(idle.closed(SOON).await, Closed::With(1001));
    let told = feed.ended().await;
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log().join("\n"));

    server.restart().await;
    let ada = server.client().with_token(&ada.token.unwrap());
    assert_eq!(both_outcomes(&ada, told).await, ["completed", "completed"]);
    for path in [&path, &other] {
        assert_eq!(messages(&ada, path).await[1]["content"], words(40));
    }
}

async fn a_second_signal_tells_every_reader_of_the_interruption(setup: Setup) {
    let mut server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let path = conversation(&ada).await;
    let other = conversation(&ada).await;
    let mut feed = ada.feed("/api/v1/events", None).await;
    let mut socket = socket(&ada).await;
    let mut stream = begin(&ada, &path, "mock-1000-50").await;
    let mut events = stream.take(3).await;
    let body = json!({"conversation_id": id_of(&other), "content": "x", "model": "mock-1000-50"});
    socket.send("send_message", body).await;
    let mut frames = vec![socket.wait_for("message_started").await];

    server.terminate().await;
    not_ready(&server).await;
    server.terminate().await;

    events.extend(stream.rest().await);
    assert_whole(&events);
    assert_eq!(events.last().unwrap().name, "interrupted");
    frames.extend(socket.rest_of_reply().await);
    let end = frames.last().unwrap();
    assert_eq!(end.kind, "message_interrupted");
    assert_eq!(socket.closed(SOON).await, Closed::With(1001));
    let told = feed.ended().await;
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log().join("\n"));

    server.restart().await;
    let ada = server.client().with_token(&ada.token.unwrap());
    assert_eq!(both_outcomes(&ada, told).await, ["interrupted", "interrupted"]);
    assert_eq!(messages(&ada, &path).await[1], events.last().unwrap().json()["message"]);
    assert_eq!(messages(&ada, &other).await[1], end.data["message"]);
}
