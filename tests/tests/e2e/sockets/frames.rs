//! What is said on a socket, and what is answered.

use std::collections::BTreeMap;

use repartee_tests::server::{Client, Frame, Setup, Socket};
use serde_json::json;

use crate::support::{
    begin, conversation, generation_of, id_of, id_of_user, messages, on_both_databases, socket,
    somebody, text, words,
};

on_both_databases!(
    a_conversation_is_held_from_its_start_to_its_end,
    one_socket_carries_several_conversations,
    a_reply_is_resumed_on_another_socket,
    a_reply_is_cancelled_from_a_socket,
    every_path_speaks_the_same,
);

/// The frames of one reply, which are whole.
#[track_caller]
fn assert_whole(frames: &[Frame], conversation: &str) {
    assert_eq!(frames.first().map(|frame| &*frame.kind), Some("message_started"), "{frames:?}");
    for (frame, seq) in frames.iter().zip(1..) {
        assert_eq!(frame.seq(), seq, "no gap: {frames:?}");
        assert_eq!(text(&frame.data["conversation_id"]), conversation);
        assert_eq!(frame.generation(), frames[0].generation());
    }
    let terminal = frames.iter().filter(|frame| frame.is_terminal()).count();
    assert_eq!(terminal, 1, "{frames:?}");
    let written: String = frames.iter().map(Frame::added).collect();
    assert_eq!(frames.last().unwrap().data["message"]["content"], written);
}

async fn send(socket: &mut Socket, conversation: &str, content: &str, model: &str) {
    let data = json!({"conversation_id": conversation, "content": content, "model": model});
    socket.send("send_message", data).await;
}

async fn a_conversation_is_held_from_its_start_to_its_end(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let mut socket = socket(&ada).await;
    socket.ping(b"anybody?").await;
    socket.send("ping", json!({})).await;
    assert_eq!(socket.next().await.kind, "pong");

    let start = json!({"title": "On a socket", "system_message": "Be brief."});
    socket.send("start_conversation", start).await;
    let started = socket.next().await;
    assert_eq!(started.kind, "conversation_started");
    let id = text(&started.data["conversation_id"]).to_owned();
    let path = format!("/api/v1/conversations/{id}");
    assert_eq!(ada.get(&path).await.expect(200)["title"], "On a socket");

    send(&mut socket, &id, "Hello", "mock-12-6").await;
    let frames = socket.rest_of_reply().await;
    assert_whole(&frames, &id);
    let end = frames.last().unwrap();
    assert_eq!(end.kind, "message_completed");
    assert_eq!(end.data["message"]["content"], words(12));
    assert_eq!(end.data["finish_reason"], "stop");
    assert_eq!(end.data["usage"]["completion_tokens"], 12);
    assert_eq!(frames[0].data["v"], 1);
    let stored = messages(&ada, &path).await;
    assert_eq!(stored[0]["content"], "Hello");
    assert_eq!(stored[1], end.data["message"]);
    let asked = server.upstream().requests();
    assert_eq!(asked[0].messages()[0]["role"], "system");

    socket.send("end_conversation", json!({"conversation_id": id})).await;
    let ended = socket.next().await;
    assert_eq!((&*ended.kind, text(&ended.data["conversation_id"])), ("conversation_ended", &*id));
    assert_eq!(ada.get(&path).await.expect(200)["status"], "ended");
    send(&mut socket, &id, "Still there?", "mock-1-0").await;
    let error = socket.next().await;
    assert_eq!((&*error.kind, text(&error.data["code"])), ("error", "conversation_ended"));
    assert!(!text(&error.data["detail"]).is_empty());
    socket.close().await;
}

async fn one_socket_carries_several_conversations(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let mut socket = socket(&ada).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(id_of(&conversation(&ada).await).to_owned());
    }
    for id in &open {
        send(&mut socket, id, "At once", "mock-20-100").await;
    }

    let mut replies: BTreeMap<String, Vec<Frame>> = BTreeMap::new();
    let (mut ended, mut turns) = (0, 0);
    let mut last = String::new();
    while ended < open.len() {
        let frame = socket.next().await;
        ended += usize::from(frame.is_terminal());
        let id = text(&frame.data["conversation_id"]).to_owned();
        turns += usize::from(id != last);
        last.clone_from(&id);
        replies.entry(id).or_default().push(frame);
    }

    for id in &open {
        assert_whole(&replies[id], id);
        assert_eq!(replies[id].last().unwrap().data["message"]["content"], words(20));
    }
    assert!(turns > open.len(), "they come at the same time, not one after the other");
    // A second message while one is being answered.
    send(&mut socket, &open[0], "First", "mock-40-100").await;
    let first = socket.wait_for("message_started").await;
    send(&mut socket, &open[0], "Impatient", "mock-1-0").await;
    let error = socket.wait_for("error").await;
    assert_eq!(text(&error.data["code"]), "reply_in_progress");
    let end = socket.rest_of_reply().await.pop().unwrap();
    assert_eq!((&*end.kind, end.generation()), ("message_completed", first.generation()));
}

async fn a_reply_is_resumed_on_another_socket(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let id = id_of(&conversation(&ada).await).to_owned();
    let mut first = socket(&ada).await;
    send(&mut first, &id, "Go on", "mock-30-20").await;
    let mut frames = first.take(5).await;
    drop(first);

    let mut second = socket(&ada).await;
    let last = frames.last().unwrap().clone();
    let resume = json!({"generation_id": last.generation(), "after": last.seq()});
    second.send("resume", resume).await;
    frames.extend(second.rest_of_reply().await);

    assert_whole(&frames, &id);
    assert_eq!(frames.last().unwrap().data["message"]["content"], words(30));
    // A number may come as a text as well.
    let resume = json!({"generation_id": last.generation(), "after": last.seq().to_string()});
    second.send("resume", resume).await;
    assert_eq!(second.rest_of_reply().await, frames[5..]);
    let unknown = json!({"generation_id": "01939c2e-7b9a-7000-8000-000000000000", "after": 0});
    second.send("resume", unknown).await;
    assert_eq!(second.next().await.data["code"], "generation_not_found");
}

async fn a_reply_is_cancelled_from_a_socket(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let mut socket = socket(&ada).await;
    send(&mut socket, id_of(&conversation), "Go on for ever", "mock-1000-20").await;
    let mut frames = socket.take(4).await;

    let cancel = json!({"generation_id": frames[0].generation()});
    socket.send("cancel", cancel).await;
    frames.extend(socket.rest_of_reply().await);

    assert_whole(&frames, id_of(&conversation));
    assert_eq!(frames.last().unwrap().kind, "message_cancelled");
    assert!(server.upstream().reaches(|stats| stats.aborted == 1 && stats.open == 0).await);
    // One that somebody else began on another surface.
    let mut stream = begin(&ada, &conversation, "mock-1000-20").await;
    let start = stream.next().await;
    socket.send("cancel", json!({"generation_id": id_of(&generation_of(&start))})).await;
    assert_eq!(stream.rest().await.last().unwrap().name, "cancelled");
}

/// One turn on a path.
async fn assert_chats(client: &Client, path: &str, conversation: &str) {
    let mut socket = client.socket(path).await;
    send(&mut socket, conversation, "Hello", "mock-3-2").await;
    let frames = socket.rest_of_reply().await;
    assert_whole(&frames, conversation);
    socket.close().await;
}

async fn every_path_speaks_the_same(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let user = id_of_user(&ada).await;
    let id = id_of(&conversation(&ada).await).to_owned();
    let token = ada.token.clone().unwrap();
    let browser = ada.without_token();
    for path in [format!("/ws/chat/{user}"), format!("/ws/{id}"), format!("/api/v1/chat/ws/{user}")]
    {
        assert_chats(&ada, &path, &id).await;
        assert_chats(&browser, &format!("{path}?token={token}"), &id).await;
        let ticket = ada.post("/api/v1/auth/ticket", &json!({})).await.json();
        let path = format!("{path}?ticket={}", text(&ticket["ticket"]));
        assert_chats(&browser, &path, &id).await;
        assert_eq!(browser.try_socket(&path, &[]).await.unwrap_err().status, 401, "used up");
    }
    // On its own path, the conversation need not be named.
    let mut socket = ada.socket(&format!("/ws/{id}")).await;
    socket.send("send_message", json!({"content": "Here", "model": "mock-2-0"})).await;
    assert_whole(&socket.rest_of_reply().await, &id);
}
