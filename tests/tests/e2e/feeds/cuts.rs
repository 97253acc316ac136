//! Reconnecting to a feed at any moment: nothing lost, nothing twice.

use repartee_tests::server::{Client, Event, Setup};
use serde_json::json;

use super::story::Story;
use crate::support::{begin, conversation, on_both_databases, on_replicas, somebody, words};

on_both_databases!(
    a_feed_that_is_cut_at_every_event_tells_the_whole_story,
    a_feed_is_told_again_after_each_of_its_events,
    a_feed_outlives_its_server,
);
on_replicas!(a_feed_goes_on_at_the_other_replica_at_every_event);

/// Slow enough for somebody who connects anew for every event.
const PACE_MS: u64 = 80;

fn is_last(event: &Event) -> bool {
    event.name == "conversation.updated" && event.data.contains("The last")
}

/// Two replies at the same time, and a word at the end.
async fn happen(client: &Client, gap_ms: u64) {
    let [one, other] = [conversation(client).await, conversation(client).await];
    let model = format!("mock-20-{gap_ms}");
    let (first, second) = (begin(client, &one, &model).await, begin(client, &other, &model).await);
    let (first, second) = tokio::join!(first.rest(), second.rest());
    assert_eq!(first.last().unwrap().name, "done");
    assert_eq!(second.last().unwrap().name, "done");
    client.patch(&one, &json!({"title": "The last"})).await.expect(200);
}

/// Reads by one connection an event, in turn from each of `clients`.
async fn in_pieces(clients: &[Client], cursor: &str) -> Vec<Event> {
    let (mut events, mut cursor) = (Vec::new(), cursor.to_owned());
    for client in clients.iter().cycle() {
        let mut feed = client.feed("/api/v1/events", Some(&cursor)).await;
        events.push(feed.next().await);
        cursor.clone_from(&feed.cursor);
        if events.last().is_some_and(is_last) {
            break;
        }
    }
    events
}

/// Whoever reconnects after each event is told what one connection is.
#[track_caller]
fn assert_whole_story(whole: &[Event], pieces: &[Event]) {
    let (whole, pieces) = (Story::of(whole), Story::of(pieces));
    whole.assert_retold_by(&pieces);
    let (all, most) = (whole.count_deltas(), pieces.count_deltas());
    assert!(2 * most > all, "a running reply is followed: {most} of {all} deltas");
}

async fn a_feed_that_is_cut_at_every_event_tells_the_whole_story(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let mut whole = ada.feed("/api/v1/events", None).await;
    let cursor = whole.cursor.clone();
    let readers = [ada.clone()];

    let (whole, pieces, ()) = tokio::join!(
        async { whole.until(is_last).await },
        in_pieces(&readers, &cursor),
        happen(&ada, PACE_MS),
    );

    assert_whole_story(&whole, &pieces);
    let generations = whole.iter().filter(|event| event.name == "generation.started");
    for started in generations {
        let id = started.json()["generation_id"].as_str().unwrap().to_owned();
        assert_eq!(Story::of(&whole).written(&id), words(20));
    }
}

async fn a_feed_goes_on_at_the_other_replica_at_every_event(setup: Setup) {
    let [here, there] = setup.replicas().await;
    let ada = somebody(&here, "ada").await;
    let elsewhere = there.client().with_token(ada.token.as_deref().unwrap());
    let mut whole = ada.feed("/api/v1/events", None).await;
    let cursor = whole.cursor.clone();
    let readers = [elsewhere, ada.clone()];

    let (whole, pieces, ()) = tokio::join!(
        async { whole.until(is_last).await },
        in_pieces(&readers, &cursor),
        happen(&ada, PACE_MS),
    );

    assert_whole_story(&whole, &pieces);
}

async fn a_feed_is_told_again_after_each_of_its_events(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let mut feed = ada.feed("/api/v1/events", None).await;
    let start = feed.cursor.clone();
    let conversation = conversation(&ada).await;
    let events = begin(&ada, &conversation, "mock-12-8").await.rest().await;
    assert_eq!(events.last().unwrap().name, "done");
    ada.patch(&conversation, &json!({"title": "The last"})).await.expect(200);
    let told = feed.until(is_last).await;

    let cursors = [&start].into_iter().chain(told.iter().map(|event| &event.id));
    for (cursor, cut) in cursors.zip(0..told.len()) {
        let again = ada.feed("/api/v1/events", Some(cursor)).await.until(is_last).await;
        let rest = Story::of(&told[cut..]);
        rest.assert_retold_by(&Story::of(&again));
        let query = format!("/api/v1/events?last_event_id={cursor}");
        let again = ada.feed(&query, None).await.until(is_last).await;
        rest.assert_retold_by(&Story::of(&again));
    }
}

async fn a_feed_outlives_its_server(setup: Setup) {
    let mut server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let mut feed = ada.feed("/api/v1/events", None).await;
    let conversation = conversation(&ada).await;
    let first = feed.next().await;
    assert_eq!(first.name, "conversation.created");
    begin(&ada, &conversation, "mock-4-2").await.rest().await;

    server.restart().await;

    let ada = server.client().with_token(&ada.token.unwrap());
    let mut feed = ada.feed("/api/v1/events", Some(&first.id)).await;
    ada.patch(&conversation, &json!({"title": "The last"})).await.expect(200);
    let told = feed.until(is_last).await;
    let story = Story::of(&told);
    assert_eq!(
        story.names(),
        ["message.created", "generation.started", "generation.ended", "conversation.updated"]
    );
}
