//! Stopping a reply at the worst of moments, and from elsewhere.

use futures::future::join_all;
use repartee_tests::server::{Client, Engine, Server, Setup};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{
    Random, WITHIN_A_SECOND, assert_whole, begin, conversation, generation_of, messages,
    on_both_databases, on_replicas, socket, somebody, text, words, written,
};

on_both_databases!(a_cancel_that_races_the_end_leaves_one_end);
on_replicas!(
    a_reply_is_stopped_from_another_replica,
    a_reply_is_stopped_from_another_replica_before_its_first_word,
);

async fn cancel(client: &Client, generation: &str) -> Value {
    client.post(&format!("{generation}/cancel"), &json!({})).await.expect(200)
}

/// The model's connection is closed within a second.
async fn assert_aborted(server: &Server, count: u64) {
    let aborted = server.upstream().reaches(|stats| stats.aborted == count && stats.open == 0);
    let aborted = timeout(WITHIN_A_SECOND, aborted).await;
    assert_eq!(aborted, Ok(true), "{:?}", server.upstream().stats());
}

/// One reply, cancelled when `after` events of it have come.
async fn race(client: &Client, model: &str, after: usize) -> Value {
    let conversation = conversation(client).await;
    let mut stream = begin(client, &conversation, model).await;
    let mut events = stream.take(after).await;
    let generation = generation_of(&events[0]);
    let (answer, rest) = tokio::join!(cancel(client, &generation), stream.rest());
    events.extend(rest);
    assert_whole(&events);
    let end = events.last().unwrap();
    let outcome = if end.name == "done" { "completed" } else { "cancelled" };
    assert!(["done", "cancelled"].contains(&&*end.name), "{end:?}");
    assert_eq!(answer["state"], outcome, "after {after}: {events:?}");
    let read = client.get(&generation).await.expect(200);
    assert_eq!(read["state"], outcome, "after {after}");
    let stored = messages(client, &conversation).await;
    assert_eq!(stored[1], end.json()["message"], "after {after}");
    assert_eq!(stored[1]["content"], written(&events));
    stored[1]["status"].clone()
}

async fn a_cancel_that_races_the_end_leaves_one_end(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let mut random = Random::fresh();
    for _ in 0..10 {
        let races = (0..8).map(|_| 1 + usize::try_from(random.below(5)).unwrap());
        let races = races.map(|after| race(&ada, "mock-3-2", after));
        join_all(races).await;
    }
    // Who wins those is the machine's to say.
    assert_eq!(race(&ada, "mock-1000-20", 1).await, "cancelled");
    assert_eq!(race(&ada, "mock-3-2", usize::MAX).await, "complete");
}

async fn a_reply_is_stopped_from_another_replica(setup: Setup) {
    let [here, there] = setup.replicas().await;
    let ada = somebody(&here, "ada").await;
    let elsewhere = there.client().with_token(ada.token.as_deref().unwrap());
    let conversation = conversation(&ada).await;
    let mut stream = begin(&ada, &conversation, "mock-1000-20").await;
    let mut events = stream.take(5).await;
    let generation = generation_of(&events[0]);

    let answer = cancel(&elsewhere, &generation).await;

    assert_eq!(answer["state"], "cancelled");
    assert_aborted(&here, 1).await;
    events.extend(timeout(WITHIN_A_SECOND, stream.rest()).await.expect("it ends"));
    assert_whole(&events);
    let end = events.last().unwrap();
    assert_eq!(end.name, "cancelled");
    assert!(words(1000).starts_with(&written(&events)));
    assert_eq!(end.json()["usage"]["estimated"], true);
    assert!(end.json()["usage"]["completion_tokens"].as_u64() > Some(0));
    assert!(end.json()["usage"]["prompt_tokens"].as_u64() > Some(0));
    assert_eq!(messages(&elsewhere, &conversation).await[1], end.json()["message"]);
    assert_eq!(cancel(&elsewhere, &generation).await["state"], "cancelled");
}

async fn a_reply_is_stopped_from_another_replica_before_its_first_word(setup: Setup) {
    let [here, there] = setup.replicas().await;
    let ada = somebody(&here, "ada").await;
    let elsewhere = there.client().with_token(ada.token.as_deref().unwrap());
    let conversation = conversation(&ada).await;
    let mut stream = begin(&ada, &conversation, "mock-hang").await;
    let start = stream.next().await;
    assert!(here.upstream().reaches(|stats| stats.open == 1).await);

    let answer = cancel(&elsewhere, &generation_of(&start)).await;

    assert_eq!(answer["state"], "cancelled");
    assert_aborted(&here, 1).await;
    let rest = timeout(WITHIN_A_SECOND, stream.rest()).await.expect("it ends");
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert_eq!((&*rest[0].name, rest[0].seq()), ("cancelled", 2));
}

#[tokio::test]
async fn the_model_is_left_within_a_second_and_what_it_wrote_is_kept() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    for (model, read) in [("mock-hang", 1), ("mock-slowfirst-20000", 1), ("mock-1000-10", 9)] {
        server.upstream().reset();
        let conversation = conversation(&ada).await;
        let mut stream = begin(&ada, &conversation, model).await;
        let mut events = stream.take(read).await;
        assert!(server.upstream().reaches(|stats| stats.open == 1).await);

        let generation = generation_of(&events[0]);
        let answers = join_all((0..3).map(|_| cancel(&ada, &generation))).await;

        assert!(answers.iter().all(|answer| answer["state"] == "cancelled"), "{answers:?}");
        assert_aborted(&server, 1).await;
        events.extend(stream.rest().await);
        assert_whole(&events);
        let stored = messages(&ada, &conversation).await;
        assert_eq!(stored[1]["content"], written(&events), "{model}");
        assert_eq!(stored[1]["is_usage_estimated"], true, "{model}");
        assert!(stored[1]["prompt_tokens"].as_u64() > Some(0), "{model}: {stored:?}");
    }
}

#[tokio::test]
async fn only_its_owner_stops_a_reply() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let conversation = conversation(&ada).await;
    let mut stream = begin(&ada, &conversation, "mock-40-20").await;
    let start = stream.next().await;
    let generation = generation_of(&start);

    let refused = grace.post(&format!("{generation}/cancel"), &json!({})).await;
    refused.problem(404, "generation_not_found");
    let mut socket = socket(&grace).await;
    socket.send("cancel", json!({"generation_id": start.json()["generation_id"]})).await;
    let error = socket.wait_for("error").await;
    assert_eq!(text(&error.data["code"]), "generation_not_found");

    assert_eq!(stream.rest().await.last().unwrap().name, "done");
}
