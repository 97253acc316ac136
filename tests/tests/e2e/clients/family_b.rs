//! Chats, and an event stream that sends.

use repartee_tests::server::{Engine, Setup};
use serde_json::json;

use super::ids;
use crate::support::{assert_whole, messages, on_both_databases, somebody, text, written};

on_both_databases!(a_chat_is_made_streamed_renamed_and_archived);

async fn a_chat_is_made_streamed_renamed_and_archived(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;

    let made = ada.post("/api/v1/chats", &json!({"title": "Tea"})).await;
    let chat = made.expect(201);
    let path = format!("/api/v1/chats/{}", text(&chat["id"]));
    assert_eq!(made.header("location"), path);
    assert_eq!(ids(&ada.get("/api/v1/chats").await.expect(200)), [text(&chat["id"])]);

    let stream = format!("/api/v1/stream/chat/{}?message=Which%20tea%3F", text(&chat["id"]));
    let events = ada.resume(&stream, None).await.rest().await;
    assert_whole(&events);
    assert!(written(&events).contains("Which tea?"), "{events:?}");

    let renamed = ada.put(&path, &json!({"title": "Green tea"})).await.expect(200);
    assert_eq!(renamed["title"], "Green tea");
    ada.delete(&path).await.expect(204);

    assert_eq!(ada.get(&path).await.expect(200)["status"], "archived");
    let native = path.replace("chats", "conversations");
    assert_eq!(messages(&ada, &native).await.len(), 2, "nothing is lost");
    let refused = ada.get(&stream).await;
    refused.problem(409, "conversation_archived");
}

#[tokio::test]
async fn archiving_twice_is_archiving() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let chat = ada.post("/api/v1/chats", &json!({})).await.expect(201);
    let path = format!("/api/v1/chats/{}", text(&chat["id"]));

    ada.delete(&path).await.expect(204);
    ada.delete(&path).await.expect(204);
}
