//! However a reply ends, everybody is told once.

use repartee_tests::server::{Client, Event, Frame, Server, Setup};
use serde_json::json;

use crate::support::{
    begin, conversation, generation_of, id_of, messages, on_both_databases, socket, somebody, text,
};

on_both_databases!(every_subscriber_gets_one_end_however_a_reply_ends);

/// A model, what is done to its reply, and how that ends.
const ENDS: [(&str, Act, &str, &str); 9] = [
    ("mock-4-20", Act::Wait, "done", "completed"),
    ("mock-empty", Act::Wait, "done", "completed"),
    ("mock-length", Act::Wait, "done", "completed"),
    ("mock-cut", Act::Wait, "failed", "failed"),
    ("mock-401", Act::Wait, "failed", "failed"),
    ("mock-slowfirst-20000", Act::Wait, "failed", "failed"),
    ("mock-hangmid", Act::Wait, "failed", "failed"),
    ("mock-1000-20", Act::Cancel, "cancelled", "cancelled"),
    ("mock-hang", Act::Cancel, "cancelled", "cancelled"),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    Wait,
    Cancel,
}

/// Reads one reply as its sender, as another reader, on a socket and in the feed.
async fn assert_one_end(client: &Client, (model, act, name, outcome): (&str, Act, &str, &str)) {
    let conversation = conversation(client).await;
    let mut feed = client.feed(&format!("{conversation}/events"), None).await;
    let mut socket = socket(client).await;
    let mut stream = begin(client, &conversation, model).await;
    let mut events = vec![stream.next().await];
    let generation = generation_of(&events[0]);
    let reader = client.resume(&format!("{generation}/events"), None).await;
    let resume = json!({"generation_id": id_of(&generation), "after": 0});
    socket.send("resume", resume).await;
    if act == Act::Cancel {
        client.post(&format!("{generation}/cancel"), &json!({})).await.expect(200);
    }
    events.extend(stream.rest().await);
    let read = reader.rest().await;
    let frames = socket.rest_of_reply().await;
    let mut told = feed.until(|event| event.name == "generation.ended").await;

    assert_eq!(read, events, "{model}");
    assert_eq!(events.iter().filter(|event| event.is_terminal()).count(), 1, "{model}: {events:?}");
    let end = events.last().unwrap();
    assert_eq!(end.name, name, "{model}");
    let pairs = frames.iter().zip(&events);
    assert!(pairs.clone().all(|(frame, event)| frame.tells(event, id_of(&conversation))));
    assert_eq!(frames.len(), events.len(), "{model}: {frames:?}");
    assert!(frames.last().is_some_and(Frame::is_terminal));
    let ended = told.pop().unwrap().json();
    assert_eq!(text(&ended["generation_id"]), id_of(&generation));
    assert_eq!((text(&ended["outcome"]), &ended["seq"]), (outcome, &json!(end.seq())), "{model}");
    assert!(told.iter().all(|event: &Event| event.name != "generation.ended"));
    let state = client.get(&generation).await.expect(200)["state"].clone();
    assert_eq!(state, outcome, "{model}");
    assert_eq!(messages(client, &conversation).await[1], end.json()["message"], "{model}");

    // Nothing came after it: what is asked of them next is what they tell next.
    socket.send("ping", json!({})).await;
    assert_eq!(socket.next().await.kind, "pong", "{model}");
    client.patch(&conversation, &json!({"title": "Over"})).await.expect(200);
    assert_eq!(feed.next().await.name, "conversation.updated", "{model}");
}

async fn every_subscriber_gets_one_end_however_a_reply_ends(setup: Setup) {
    let setup = setup
        .with("REPARTEE__REPLIES__FIRST_TOKEN_SECONDS", "3")
        .with("REPARTEE__REPLIES__IDLE_SECONDS", "3");
    let server: Server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    for end in ENDS {
        assert_one_end(&ada, end).await;
    }
}
