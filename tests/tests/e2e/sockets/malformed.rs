//! Frames that are none.

use std::time::Duration;

use repartee_tests::server::{Closed, Engine, Setup};
use serde_json::json;

use crate::support::{conversation, id_of, socket, somebody, text};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn four_malformed_frames_are_answered_and_the_fifth_closes() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let mut socket = socket(&ada).await;
    for malformed in ["", "{", "[]", r#"{"data":{}}"#] {
        socket.send_text(malformed).await;
        let error = socket.next().await;
        assert_eq!(error.kind, "error", "{malformed:?}: {error:?}");
        assert!(!text(&error.data["code"]).is_empty() && !text(&error.data["detail"]).is_empty());
        socket.send("ping", json!({})).await;
        assert_eq!(socket.next().await.kind, "pong", "it lives on");
    }
    socket.send_text("{").await;
    assert_eq!(socket.closed(SOON).await, Closed::With(4400));
}

#[tokio::test]
async fn what_cannot_be_done_is_told_and_the_socket_lives_on() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let theirs = conversation(&grace).await;
    let mut socket = socket(&ada).await;
    let content = json!({"conversation_id": id_of(&theirs), "content": "Hello"});
    for (kind, data, code) in [
        ("send_message", content, "conversation_not_found"),
        ("end_conversation", json!({"conversation_id": id_of(&theirs)}), "conversation_not_found"),
        ("send_message", json!({"conversation_id": 5, "content": "x"}), "conversation_not_found"),
        ("cancel", json!({"generation_id": "x"}), "generation_not_found"),
        ("resume", json!({"generation_id": "x", "after": 0}), "generation_not_found"),
    ] {
        socket.send(kind, data.clone()).await;
        let error = socket.next().await;
        assert_eq!((&*error.kind, &error.data["code"]), ("error", &json!(code)), "{kind} {data}");
    }
    let hers = conversation(&ada).await;
    let empty = json!({"conversation_id": id_of(&hers), "content": ""});
    socket.send("send_message", empty).await;
    let error = socket.next().await;
    assert_eq!((&*error.kind, text(&error.data["code"])), ("error", "invalid_fields"));
    socket.send("ping", json!({})).await;
    assert_eq!(socket.next().await.kind, "pong");
    assert_eq!(server.upstream().requests().len(), 0);
}

#[tokio::test]
async fn each_kind_of_bad_frame_has_its_code() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;

    let mut binary = socket(&ada).await;
    binary.send_binary(br#"{"type":"ping","data":{}}"#).await;
    assert_eq!(binary.closed(SOON).await, Closed::With(1003));

    let mut encoding = socket(&ada).await;
    encoding.send_raw_text(b"{\"type\":\"ping\",\"data\":{\"x\":\"\xff\xfe\"}}").await;
    assert_eq!(encoding.closed(SOON).await, Closed::With(1007));

    let mut large = socket(&ada).await;
    let longest = json!({"type": "ping", "data": {}}).to_string();
    let padding = " ".repeat(64 * 1024 - longest.len());
    large.send_text(&format!("{longest}{padding}")).await;
    assert_eq!(large.next().await.kind, "pong", "64 KiB are let through");
    large.send_text(&format!("{longest}{padding} ")).await;
    assert_eq!(large.closed(SOON).await, Closed::With(1009));

    let mut huge = socket(&ada).await;
    huge.send_text(&" ".repeat(200 * 1024)).await;
    assert_eq!(huge.closed(SOON).await, Closed::With(1009));
}
