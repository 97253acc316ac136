//! Several servers, of which one dies, or the Redis between them.

use std::time::Duration;

use repartee_tests::server::{Client, Engine, Event, Setup};
use serde_json::json;
use tokio::time::timeout;

use crate::support::{
    SETTLED_WITHIN, assert_whole, begin, conversation, eventually, generation_of, messages,
    on_replicas, socket, somebody, text, words, written,
};

const SOON: Duration = Duration::from_secs(30);

on_replicas!(a_replica_that_dies_is_settled_by_another);

/// Reads to the end of a reply, going on where the stream breaks or ends before.
async fn read_to_the_end(client: &Client, path: &str, mut events: Vec<Event>) -> Vec<Event> {
    while !events.last().is_some_and(Event::is_terminal) {
        let last = events.last().map(|event| event.id.clone());
        let mut stream = client.resume(path, last.as_deref()).await;
        assert_eq!(stream.status, 200, "after {last:?}");
        while let Ok(Some(event)) = stream.try_next().await {
            events.push(event);
        }
    }
    events
}

async fn a_replica_that_dies_is_settled_by_another(setup: Setup) {
    let [mut writer, second, third] = setup.replicas().await;
    let ada = somebody(&writer, "ada").await;
    let token = ada.token.clone().unwrap();
    let [at_second, at_third] = [&second, &third].map(|server| server.client().with_token(&token));
    let conversation = conversation(&ada).await;
    let mut feed = at_second.feed("/api/v1/events", None).await;
    let mut stream = begin(&ada, &conversation, "mock-2000-20").await;
    let mut told = vec![stream.next().await];
    let generation = generation_of(&told[0]);
    let path = format!("{generation}/events");
    let mut reader = at_third.resume(&path, None).await;
    let mut socket = socket(&at_second).await;
    let resume = json!({"generation_id": told[0].json()["generation_id"], "after": 0});
    socket.send("resume", resume).await;
    told.extend(stream.take(60).await);
    // As soon as others have what was told here, it is safe.
    let mut read = Vec::new();
    while !written(&read).starts_with(&written(&told)) {
        read.push(reader.next().await);
    }

    writer.kill().await;

    while let Ok(Some(event)) = stream.try_next().await {
        told.push(event);
    }
    let rest = timeout(SETTLED_WITHIN, read_to_the_end(&at_third, &path, Vec::new()));
    read.extend(timeout(SETTLED_WITHIN, reader.rest()).await.expect("no end comes"));
    let whole = rest.await.expect("no end comes");
    let end = whole.last().unwrap();
    assert_eq!(end.name, "interrupted");
    assert_eq!(whole.iter().filter(|event| event.is_terminal()).count(), 1);
    let stored = messages(&at_second, &conversation).await;
    assert_eq!(stored[1], end.json()["message"]);
    let kept = text(&stored[1]["content"]);
    assert_eq!(kept, written(&whole));
    assert!(words(2000).starts_with(kept));
    assert_eq!(stored[1]["is_usage_estimated"], true);
    // What was told elsewhere is in the log, and all of it is kept.
    assert!(kept.starts_with(&written(&read)) && read.last().unwrap().is_terminal(), "{kept}");
    assert_eq!(read.iter().filter(|event| event.is_terminal()).count(), 1);
    let frames = timeout(SETTLED_WITHIN, socket.rest_of_reply()).await.expect("no end comes");
    assert_eq!(frames.last().unwrap().kind, "message_interrupted");
    let ended = feed.until(|event| event.name == "generation.ended").await.pop().unwrap();
    assert_eq!(ended.json()["outcome"], "interrupted");
    // Whoever read at the dead one goes on at another.
    let last = told.last().unwrap();
    let rest = at_second.resume(&path, Some(&last.id)).await.rest().await;
    assert_eq!(rest.last().unwrap().json()["message"], stored[1]);
    assert_eq!(rest[0].seq(), last.seq() + 1);
    // And the conversation goes on.
    let next = begin(&at_second, &conversation, "mock-4-0").await.rest().await;
    assert_whole(&next);
}

#[tokio::test]
async fn a_redis_that_goes_and_comes_back_costs_nobody_an_event() {
    let setup = Setup::on(Engine::Postgres).with_own_redis();
    let [writer, second] = setup.replicas().await;
    let ada = somebody(&writer, "ada").await;
    let elsewhere = second.client().with_token(ada.token.as_deref().unwrap());
    let conversation = conversation(&ada).await;
    let mut stream = begin(&ada, &conversation, "mock-250-20").await;
    let mut told = stream.take(20).await;
    let path = format!("{}/events", generation_of(&told[0]));
    let mut reader = elsewhere.resume(&path, None).await;
    let read = reader.take(20).await;
    let follow = tokio::task::JoinSet::from_iter([{
        let (elsewhere, path) = (elsewhere.clone(), path.clone());
        async move {
            let mut read = read;
            while let Ok(Some(event)) = reader.try_next().await {
                read.push(event);
            }
            read_to_the_end(&elsewhere, &path, read).await
        }
    }]);

    writer.site.redis().stop().await;
    told.extend(stream.take(80).await);
    // Somebody who comes while it is away.
    let late = elsewhere.resume(&path, None).await;
    told.extend(stream.take(20).await);
    writer.site.redis().start_again().await;
    told.extend(stream.rest().await);

    assert_whole(&told);
    assert_eq!(told.last().unwrap().name, "done");
    assert_eq!(written(&told), words(250));
    let read = timeout(SETTLED_WITHIN, follow.join_all()).await.expect("no end comes").remove(0);
    assert_eq!(read, told);
    assert_eq!(late.rest().await, told);
    assert_eq!(
        messages(&elsewhere, &conversation).await[1],
        told.last().unwrap().json()["message"]
    );
    // Afterwards it is used again: a reply here is read there as it is written.
    let next = crate::support::conversation(&ada).await;
    let mut stream = begin(&ada, &next, "mock-40-20").await;
    let start = stream.next().await;
    let path = format!("{}/events", generation_of(&start));
    let read = elsewhere.resume(&path, None).await.rest().await;
    assert_eq!(read[1..], stream.rest().await);
}

#[tokio::test]
async fn health_tells_of_redis_and_is_not_ill_without_it() {
    let server = Setup::on(Engine::Postgres).with_own_redis().start().await;
    // Each part has a second to answer: where the machine is slow, it is asked again.
    let healthy_and = async |cache: &str| {
        let is_so = async || {
            let health = server.client().get("/health").await;
            let told = health.json();
            health.status == 200 && told["status"] == "healthy" && told["cache"] == cache
        };
        eventually(&format!("healthy, and Redis is {cache}"), SOON, is_so).await;
    };
    healthy_and("connected").await;
    server.site.redis().stop().await;
    healthy_and("unavailable").await;
    server.site.redis().start_again().await;
    healthy_and("connected").await;
}

#[tokio::test]
async fn a_redis_that_is_not_there_stops_the_start_in_one_line() {
    let url = "redis://:a-secret-word@127.0.0.1:1/0";
    let site = Setup::on(Engine::Sqlite).with("REDIS_URL", url).site().await;
    let output = site.run(&["serve"]).await;
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("127.0.0.1:1") && !said.contains("a-secret-word"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
