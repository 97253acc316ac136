//! A second device is told everything, in order.

use repartee_tests::server::{Client, Event, Setup};
use serde_json::json;

use super::story::Story;
use crate::support::{
    ask, begin, conversation, conversation_with, generation_of, id_of, messages, on_both_databases,
    on_replicas, somebody, text, words,
};

on_both_databases!(
    a_second_device_sees_everything_in_order,
    a_conversations_feed_tells_of_it_alone,
    a_long_content_is_left_out_and_marked,
);
on_replicas!(a_device_at_another_replica_sees_everything_in_order);

/// One life of a conversation, and what it looks like from the other device.
async fn assert_told(laptop: &Client, phone: &Client) {
    let mut feed = phone.feed("/api/v1/events", None).await;
    assert_eq!(feed.headers["content-type"], "text/event-stream");
    assert_eq!(feed.headers["cache-control"], "no-cache, no-transform");

    // Step by step: what is gone when it could be told is left out.
    let conversation = conversation_with(laptop, json!({"title": "Told"})).await;
    let mut told = vec![feed.next().await];
    let events = begin(laptop, &conversation, "mock-20-10").await.rest().await;
    told.extend(feed.until(|event| event.name == "generation.ended").await);
    let stored = messages(laptop, &conversation).await;
    for change in [json!({"title": "Renamed"}), json!({"status": "archived"})] {
        laptop.patch(&conversation, &change).await.expect(200);
        told.push(feed.next().await);
    }
    laptop.delete(&conversation).await.expect(204);
    told.push(feed.next().await);

    let story = Story::of(&told);
    assert_eq!(
        story.names(),
        [
            "conversation.created",
            "message.created",
            "generation.started",
            "generation.ended",
            "conversation.updated",
            "conversation.archived",
            "conversation.deleted",
        ]
    );
    let generation = id_of(&generation_of(&events[0])).to_owned();
    assert_eq!(story.written(&generation), words(20));
    for event in &told {
        let data = event.json();
        assert_eq!(text(&data["conversation_id"]), id_of(&conversation), "{event:?}");
        if event.name.starts_with("generation.") {
            assert_eq!(text(&data["generation_id"]), generation, "{event:?}");
        }
    }
    let named = |name: &str| told.iter().find(|event| event.name == name).unwrap().json();
    assert_eq!(named("message.created")["message"], stored[0]);
    assert_eq!(named("generation.started")["seq"], 1);
    assert_eq!(named("generation.started")["message_id"], stored[1]["id"]);
    let ended = named("generation.ended");
    assert_eq!((text(&ended["outcome"]), &ended["message"]), ("completed", &stored[1]));
    assert_eq!(ended["seq"], json!(events.last().unwrap().seq()));
}

async fn a_second_device_sees_everything_in_order(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    assert_told(&ada, &ada).await;
}

async fn a_device_at_another_replica_sees_everything_in_order(setup: Setup) {
    let [here, there] = setup.replicas().await;
    let laptop = somebody(&here, "ada").await;
    let phone = there.client().with_token(laptop.token.as_deref().unwrap());
    assert_told(&laptop, &phone).await;
}

async fn a_conversations_feed_tells_of_it_alone(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let [one, other] = [conversation(&ada).await, conversation(&ada).await];
    let mut feed = ada.feed(&format!("{one}/events"), None).await;
    let cursor = feed.cursor.clone();

    for conversation in [&other, &one, &other] {
        ask(&ada, conversation, "Hello", "mock-4-2").await.expect(200);
    }
    ada.patch(&other, &json!({"title": "Elsewhere"})).await.expect(200);
    ada.delete(&other).await.expect(204);
    ada.patch(&one, &json!({"title": "Here"})).await.expect(200);

    let about_title = |event: &Event| event.data.contains("Here");
    let told = feed.until(about_title).await;
    for event in &told {
        assert_eq!(text(&event.json()["conversation_id"]), id_of(&one), "{event:?}");
    }
    let story = Story::of(&told);
    assert_eq!(
        story.names(),
        ["message.created", "generation.started", "generation.ended", "conversation.updated"]
    );
    let again = ada.feed(&format!("{one}/events"), Some(&cursor)).await.until(about_title).await;
    story.assert_retold_by(&Story::of(&again));
}

async fn a_long_content_is_left_out_and_marked(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let mut feed = ada.feed("/api/v1/events", None).await;

    // About 22 KB, which is more than the 16 KiB that the feed tells.
    ask(&ada, &conversation, "At length", "mock-2000-0").await.expect(200);

    let told = feed.until(|event| event.name == "generation.ended").await;
    let message = &told.last().unwrap().json()["message"];
    let stored = messages(&ada, &conversation).await;
    assert_eq!(message["id"], stored[1]["id"]);
    assert_ne!(message["content"], stored[1]["content"], "it is left out");
    assert!(told.iter().all(|event| event.data.len() <= 64 * 1024));
}
