//! What is said on a socket counts as requests do.

use repartee_tests::server::{Engine, Setup, Socket};
use serde_json::{Value, json};

use super::{PER_HOUR, me};
use crate::support::{conversation, id_of, messages, socket, somebody, text};

const GUESTS: &str = "REPARTEE__GUESTS__REQUESTS_PER_MINUTE";

/// What the next frame of `/api/chat/stream` after a whole reply says.
async fn chatted(socket: &mut Socket) -> Value {
    socket.send_text(&json!({"message": "Hello"}).to_string()).await;
    loop {
        let frame: Value = serde_json::from_str(&socket.next().await.text).unwrap();
        if !["start", "delta"].contains(&text(&frame["type"])) {
            return frame;
        }
    }
}

/// The socket itself was one request of three.
async fn assert_a_third_message_is_refused(socket: &mut Socket) {
    for _ in 0..2 {
        let end = chatted(socket).await;
        assert_eq!(end["type"], "end", "{end}");
    }
    let refused = chatted(socket).await;
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("rate_limited")));
}

#[tokio::test]
async fn a_guests_messages_are_counted() {
    let server = Setup::on(Engine::Sqlite).with(GUESTS, "3").start().await;
    let mut socket = server.client().socket("/api/chat/stream").await;

    assert_a_third_message_is_refused(&mut socket).await;
}

#[tokio::test]
async fn what_a_key_says_in_the_plain_frames_is_counted() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let body = json!({"name": "a script", "scopes": ["chat"], "requests_per_minute": 3});
    let made = ada.post("/api/v1/api-keys", &body).await.expect(201);
    let program = server.client().with_token(text(&made["secret"]));
    let mut socket = program.socket("/api/chat/stream").await;

    assert_a_third_message_is_refused(&mut socket).await;

    me(&ada).await.expect(200);
}

#[tokio::test]
async fn what_a_guest_begins_and_sends_is_counted() {
    let server = Setup::on(Engine::Sqlite).with(GUESTS, "3").start().await;
    let mut socket = server.client().socket("/ws/chat").await;
    socket.send("start_conversation", json!({})).await;
    let started = socket.wait_for("conversation_started").await;
    let message = json!({"conversation_id": started.data["conversation_id"], "content": "Hello"});
    socket.send("send_message", message.clone()).await;
    socket.wait_for("message_completed").await;

    for (kind, data) in [("send_message", message), ("start_conversation", json!({}))] {
        socket.send(kind, data).await;
        let error = socket.wait_for("error").await;
        assert_eq!(error.data["code"], "rate_limited", "{kind}");
    }
}

#[tokio::test]
async fn resuming_and_ending_are_counted() {
    let server = Setup::on(Engine::Sqlite).with(PER_HOUR, "6").start().await;
    let ada = somebody(&server, "ada").await;
    // Three requests with the look at oneself and the socket.
    let path = conversation(&ada).await;
    let mut socket = socket(&ada).await;
    let message = json!({"conversation_id": id_of(&path), "content": "Hello"});
    socket.send("send_message", message).await;
    let end = socket.wait_for("message_completed").await;
    let resume = json!({"generation_id": end.generation(), "after": 0});
    socket.send("resume", resume.clone()).await;
    socket.wait_for("message_completed").await;
    let stopped = json!({"conversation_id": id_of(&path)});
    socket.send("end_conversation", stopped.clone()).await;
    socket.wait_for("conversation_ended").await;

    for (kind, data) in [("resume", resume), ("end_conversation", stopped)] {
        socket.send(kind, data).await;
        let error = socket.wait_for("error").await;
        assert_eq!(error.data["code"], "rate_limited", "{kind}");
    }
}

/// Nobody asked for it: what other devices do is told for nothing.
#[tokio::test]
async fn following_another_device_is_not_counted() {
    let server = Setup::on(Engine::Sqlite).with(PER_HOUR, "4").start().await;
    let ada = somebody(&server, "ada").await;
    let path = conversation(&ada).await;
    let mut socket = ada.socket(&format!("/ws/{}", id_of(&path))).await;
    let body = json!({"content": "Hello", "model": "mock-3-0"});
    ada.post(&format!("{path}/messages"), &body).await.expect(200);

    socket.wait_for("message_completed").await;

    assert_eq!(messages(&ada, &path).await.len(), 2, "the fourth request");
    me(&ada).await.problem(429, "rate_limited");
}
