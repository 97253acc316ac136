//! Readers that stand still hold nobody up, and cost nothing.

use std::time::Duration;

use futures::{future::join_all, join};
use repartee_tests::server::{Client, Server, Setup, Socket};
use serde_json::json;

use crate::support::{
    Stalled, assert_whole, begin, conversation, eventually, generation_of, id_of,
    on_both_databases, socket, somebody, written,
};

const PATIENCE: &str = "REPARTEE__HTTP__STALLED_READER_SECONDS";
/// More than the kernel's buffers take: 1.1 MB of text, and as much again in the last event. Long
/// words, since what takes time is their number.
const LONG: &str = "mock-long-100-11000";
const READERS: usize = 30;
/// Half of what a copy for each reader would take.
const MOST_KIB: u64 = 30 * 1024;
const CLOSED_WITHIN: Duration = Duration::from_mins(1);

on_both_databases!(
    stalled_readers_of_a_reply_cost_little_and_are_closed,
    a_stalled_socket_is_closed_and_its_reply_goes_on,
    a_stalled_feed_is_closed,
);

/// What the model of long words writes.
fn long_words() -> String {
    let words: Vec<_> = (0..100).map(|n| format!("{:x<10999} ", format!("tok~{n}~"))).collect();
    words.concat()
}

/// Waits until no more connections than `before` are open: those of the test itself.
async fn closed(server: &Server, before: usize) {
    eventually("stalled connections are closed", CLOSED_WITHIN, async || {
        server.connections() <= before
    })
    .await;
}

/// A long reply that is there, its events included.
async fn long_reply(client: &Client) -> (String, Vec<repartee_tests::server::Event>) {
    let events = begin(client, &conversation(client).await, LONG).await.rest().await;
    assert_whole(&events);
    assert_eq!(written(&events), long_words());
    assert!(events.iter().all(|event| event.is_terminal() || event.data.len() <= 64 * 1024));
    (format!("{}/events", generation_of(&events[0])), events)
}

async fn stalled_readers_of_a_reply_cost_little_and_are_closed(setup: Setup) {
    let server = setup.with(PATIENCE, "2").start().await;
    let ada = somebody(&server, "ada").await;
    let (path, events) = long_reply(&ada).await;
    let (sockets, memory) = (server.connections(), server.resident_kib());

    let stalled = join_all((0..READERS).map(|_| Stalled::reading(&ada, &path))).await;

    // Others read on, and write.
    assert_eq!(ada.resume(&path, None).await.rest().await, events);
    let short = begin(&ada, &conversation(&ada).await, "mock-10-5").await.rest().await;
    assert_whole(&short);
    let grown = server.resident_kib().saturating_sub(memory);
    assert!(grown < MOST_KIB, "{READERS} readers that stand still take {grown} KiB");
    closed(&server, sockets).await;
    let last_id = stalled[0].last_id.clone();
    for reader in stalled {
        assert!(!reader.reads_the_end().await, "it was closed before its end");
    }
    let seen: usize = last_id.rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(ada.resume(&path, Some(&last_id)).await.rest().await, events[seen..]);
}

async fn a_stalled_socket_is_closed_and_its_reply_goes_on(setup: Setup) {
    let server = setup.with(PATIENCE, "1").start().await;
    let ada = somebody(&server, "ada").await;
    let open: Vec<String> = join_all((0..8).map(|_| conversation(&ada))).await;
    let before = server.connections();
    let mut sockets: Vec<Socket> = Vec::new();
    for path in &open {
        let mut socket = socket(&ada).await;
        let body = json!({"conversation_id": id_of(path), "content": "x", "model": LONG});
        socket.send("send_message", body).await;
        sockets.push(socket);
    }
    closed(&server, before).await;
    for path in &open {
        let stored = crate::support::settled(&ada, path).await;
        assert_eq!(stored[1]["content"], long_words());
    }
    // What was missed can be had on another socket.
    let stored = crate::support::messages(&ada, &open[0]).await;
    let mut another = socket(&ada).await;
    let resume = json!({"generation_id": stored[1]["generation_id"], "after": 0});
    another.send("resume", resume).await;
    let frames = another.rest_of_reply().await;
    let text: String = frames.iter().map(repartee_tests::server::Frame::added).collect();
    assert_eq!(text, long_words());
}

async fn a_stalled_feed_is_closed(setup: Setup) {
    let server = setup.with(PATIENCE, "1").start().await;
    let ada = somebody(&server, "ada").await;
    let mut feed = ada.feed("/api/v1/events", None).await;
    let before = server.connections();
    let stalled: Vec<Stalled> =
        join_all((0..10).map(|_| Stalled::reading(&ada, "/api/v1/events"))).await;

    // Enough that the kernel's buffers are full.
    for _ in 0..4 {
        let others = feed.until(|event| event.name == "generation.ended");
        let (_, told) = join!(long_reply(&ada), others);
        assert!(told.len() > 3, "others are told everything");
    }

    // Its place is that of a connection that asked meanwhile.
    drop(feed);
    closed(&server, before).await;
    let cursor = &stalled[0].last_id;
    let again = ada.feed("/api/v1/events", Some(cursor)).await.next().await;
    assert_eq!(again.name, "conversation.created");
}
