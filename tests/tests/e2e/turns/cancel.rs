//! Stopping a reply.

use repartee_tests::server::Setup;
use serde_json::json;

use crate::support::{
    ask, assert_whole, conversation, generation_of, messages, on_both_databases, somebody, text,
    words, written,
};

on_both_databases!(
    a_reply_is_stopped_in_the_middle_and_what_was_written_is_kept,
    a_reply_is_stopped_before_its_first_word,
    a_reply_that_is_over_stays_as_it_is,
);

async fn a_reply_is_stopped_in_the_middle_and_what_was_written_is_kept(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let body = json!({"content": "Go on for ever", "model": "mock-1000-20"});
    let mut stream = ada.stream(&format!("{conversation}/messages"), &body).await;
    let mut events = stream.take(5).await;
    let generation = generation_of(&events[0]);

    for _ in 0..2 {
        let cancelled = ada.post(&format!("{generation}/cancel"), &json!({})).await.expect(200);
        assert_eq!(cancelled["state"], "cancelled");
    }

    events.extend(stream.rest().await);
    assert_whole(&events);
    let end = events.last().unwrap();
    assert_eq!(end.name, "cancelled");
    let text = written(&events);
    assert!(!text.is_empty() && words(1000).starts_with(&text), "{text}");
    assert_eq!(end.json()["usage"]["estimated"], true);
    let stored = messages(&ada, &conversation).await;
    assert_eq!(stored[1], end.json()["message"]);
    assert_eq!(stored[1]["status"], "cancelled");
    assert!(server.upstream().reaches(|stats| stats.aborted == 1 && stats.open == 0).await);
    ask(&ada, &conversation, "Something else", "mock-1-0").await.expect(200);
}

async fn a_reply_is_stopped_before_its_first_word(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    for model in ["mock-hang", "mock-slowfirst-20000"] {
        server.upstream().reset();
        let conversation = conversation(&ada).await;
        let body = json!({"content": "Hello?", "model": model});
        let mut stream = ada.stream(&format!("{conversation}/messages"), &body).await;
        let start = stream.next().await;
        assert!(server.upstream().reaches(|stats| stats.open == 1).await);

        let path = format!("{}/cancel", generation_of(&start));
        let cancelled = ada.post(&path, &json!({})).await.expect(200);

        assert_eq!(cancelled["state"], "cancelled");
        let rest = stream.rest().await;
        assert_eq!(rest.len(), 1, "{rest:?}");
        assert_eq!((&*rest[0].name, rest[0].seq()), ("cancelled", 2));
        assert_eq!(rest[0].json()["message"]["content"], "");
        assert!(server.upstream().reaches(|stats| stats.aborted == 1).await, "{model}");
    }
}

async fn a_reply_that_is_over_stays_as_it_is(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let turn = ask(&ada, &conversation, "Short", "mock-2-0").await.expect(200);
    let generation = format!("/api/v1/generations/{}", text(&turn["reply"]["generation_id"]));

    let answer = ada.post(&format!("{generation}/cancel"), &json!({})).await.expect(200);

    assert_eq!(answer["state"], "completed");
    assert_eq!(messages(&ada, &conversation).await[1], turn["reply"]);
    // Nor does one need a body for it, or a model that has answered.
    let body = json!({"content": "Fail", "model": "mock-400"});
    let path = format!("{conversation}/messages");
    let events = ada.stream(&path, &body).await.rest().await;
    let failed = generation_of(&events[0]);
    let answer = ada.post(&format!("{failed}/cancel"), &json!(null)).await.expect(200);
    assert_eq!(answer["state"], "failed");
}
