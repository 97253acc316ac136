//! `/api/chat/stream` and `/ws/chat`.

use repartee_tests::server::{Closed, Engine, Frame, Server, Setup, Socket};
use serde_json::{Value, json};

use super::{ANOTHER, ONE, say, shown};
use crate::support::{SETTLED_WITHIN, messages, on_both_databases, somebody, text, words};

on_both_databases!(
    a_stream_tells_a_reply_from_its_start_to_its_end,
    a_guests_conversation_is_held_and_taken_up_again,
);

const STREAM: &str = "/api/chat/stream";

/// The next frame of `/api/chat/stream`, whose fields stand beside its type.
async fn next(socket: &mut Socket) -> Value {
    let Frame { text, .. } = socket.next().await;
    serde_json::from_str(&text).unwrap()
}

/// What is told of one message: the texts between `start` and the last frame, and that.
async fn chat(socket: &mut Socket, message: Value) -> (Value, String, Value) {
    socket.send_text(&message.to_string()).await;
    let start = next(socket).await;
    assert_eq!(start["type"], "start", "{start}");
    let mut written = String::new();
    loop {
        let frame = next(socket).await;
        if frame["type"] != "delta" {
            return (start, written, frame);
        }
        written += text(&frame["text"]);
    }
}

async fn a_stream_tells_a_reply_from_its_start_to_its_end(setup: Setup) {
    let server = setup.with("OPENAI_MODEL", "mock-12-3").start().await;
    let guest = server.client();
    let mut socket = guest.socket(STREAM).await;

    let (start, written, end) = chat(&mut socket, json!({"message": "One", "persona_id": 2})).await;
    assert_eq!((&end["type"], written.as_str()), (&json!("end"), &*words(12)));
    assert_eq!(end["reply"], words(12));
    assert_eq!((&end["session_id"], &end["persona_id"]), (&start["session_id"], &json!(2)));

    // The session goes on where none is named, and on the other surface.
    chat(&mut socket, json!({"message": "Two"})).await;
    say(&guest, Some(text(&end["session_id"])), "Three").await.expect(200);
    let asked = server.upstream().requests().pop().unwrap();
    let said: Vec<_> = shown(asked.messages()).into_iter().step_by(2).collect();
    assert_eq!(said, ["One", "Two", "Three"]);
    let (start, ..) = chat(&mut socket, json!({"message": "Hi", "session_id": ANOTHER})).await;
    assert_eq!(start["session_id"], ANOTHER);
    socket.close().await;

    // With a token it is the user's conversation.
    let ada = somebody(&server, "ada").await;
    let ticket = ada.post("/api/v1/auth/ticket", &json!({})).await.json();
    let mut socket = guest.socket(&format!("{STREAM}?ticket={}", text(&ticket["ticket"]))).await;
    let (start, ..) = chat(&mut socket, json!({"message": "Hi"})).await;
    let path = format!("/api/v1/conversations/{}", text(&start["session_id"]));
    assert_eq!(messages(&ada, &path).await.len(), 2);
    for query in ["?token=nonsense", "?ticket=nonsense", "?token="] {
        let refused = guest.try_socket(&format!("{STREAM}{query}"), &[]).await.unwrap_err();
        assert_eq!(refused.status, 401, "{query}");
    }
}

#[tokio::test]
async fn what_goes_wrong_on_a_stream_is_an_error_with_a_code() {
    let server = Setup::on(Engine::Sqlite).with("OPENAI_MODEL", "mock-hang").start().await;
    let mut socket = server.client().socket(STREAM).await;
    for (sent, code) in [
        ("no json", "malformed_frame"),
        ("[]", "malformed_frame"),
        ("{}", "invalid_fields"),
        ("{\"message\": \"\"}", "invalid_fields"),
        ("{\"message\": \"x\", \"session_id\": \"7\"}", "invalid_fields"),
    ] {
        socket.send_text(sent).await;
        let error = next(&mut socket).await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{sent}");
        assert!(!text(&error["detail"]).is_empty());
    }
    let hello = json!({"message": "Hello", "session_id": ONE}).to_string();
    socket.send_text(&hello).await;
    assert_eq!(next(&mut socket).await["type"], "start");
    socket.send_text(&hello).await;
    assert_eq!(next(&mut socket).await["code"], "reply_in_progress");
    // Three more that are no frames: five in all.
    for _ in 0..3 {
        socket.send_text("?").await;
    }
    assert_eq!(socket.closed(SETTLED_WITHIN).await, Closed::With(4400));
}

#[tokio::test]
async fn a_model_that_fails_ends_the_reply_with_its_code() {
    let server = Setup::on(Engine::Sqlite).with("OPENAI_MODEL", "mock-400").start().await;
    let mut socket = server.client().socket(STREAM).await;
    let (_, written, end) = chat(&mut socket, json!({"message": "Hello"})).await;
    assert_eq!((&end["type"], &end["code"]), (&json!("error"), &json!("model_rejected")));
    assert_eq!(written, "");
}

/// A guest's socket in the conversation of this session, and what was told of it.
async fn enter(server: &Server, start: Value) -> (Socket, Value) {
    let mut socket = server.client().socket("/ws/chat").await;
    socket.send("start_conversation", start).await;
    let started = socket.next().await;
    assert_eq!(started.kind, "conversation_started", "{started:?}");
    (socket, started.data)
}

async fn a_guests_conversation_is_held_and_taken_up_again(setup: Setup) {
    let server = setup.with("OPENAI_MODEL", "mock-20-10").start().await;
    let start = json!({"title": "Tea", "system_message": "Be brief."});
    let (mut socket, started) = enter(&server, start).await;
    let conversation = started["conversation_id"].clone();
    let session = started["session_id"].clone();
    let hello = json!({"conversation_id": conversation, "content": "Hello"});
    socket.send("send_message", hello.clone()).await;
    let frames = socket.take(3).await;
    let generation = frames[0].generation().to_owned();
    drop(socket);

    // Somebody else's generation is not there; who comes back reads on.
    let resume = json!({"generation_id": generation, "after": frames[2].seq()});
    let (mut stranger, _) = enter(&server, json!({})).await;
    for kind in ["resume", "cancel"] {
        stranger.send(kind, resume.clone()).await;
        assert_eq!(stranger.next().await.data["code"], "generation_not_found", "{kind}");
    }
    stranger.send("send_message", hello.clone()).await;
    assert_eq!(stranger.next().await.data["code"], "conversation_not_found");

    let (mut socket, again) = enter(&server, json!({"session_id": session})).await;
    assert_eq!((&again["conversation_id"], &again["session_id"]), (&conversation, &session));
    assert_eq!(again["conversation"]["title"], "Tea");
    socket.send("resume", resume).await;
    let rest = socket.rest_of_reply().await;
    assert_eq!(rest.last().unwrap().data["message"]["content"], words(20));

    socket.send("end_conversation", json!({"conversation_id": conversation})).await;
    assert_eq!(socket.next().await.kind, "conversation_ended");
    socket.send("send_message", hello).await;
    assert_eq!(socket.next().await.data["code"], "conversation_ended");
}

#[tokio::test]
async fn a_guest_gets_the_default_model_and_signs_in_elsewhere() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let mut socket = server.client().socket("/ws/chat").await;
    let nowhere = json!({"conversation_id": ANOTHER, "content": "Hello"});
    for (kind, data, code) in [
        ("send_message", nowhere, "conversation_not_found"),
        ("start_conversation", json!({"model": "mock-1-0"}), "forbidden"),
        ("start_conversation", json!({"system_message": "s".repeat(2_001)}), "invalid_fields"),
        ("start_conversation", json!({"session_id": "7"}), "invalid_fields"),
        ("authenticate", json!({"token": ada.token}), "not_yours"),
    ] {
        socket.send(kind, data).await;
        assert_eq!(socket.next().await.data["code"], code, "{kind}");
    }
    socket.send("start_conversation", json!({})).await;
    let id = socket.next().await.data["conversation_id"].clone();
    let message = json!({"conversation_id": id, "content": "Hello", "model": "mock-1-0"});
    socket.send("send_message", message).await;
    assert_eq!(socket.next().await.data["code"], "forbidden");
    assert_eq!(server.upstream().requests().len(), 0);
}
