//! A message and its reply in one request.

use repartee_tests::server::{Engine, Setup};
use serde_json::json;

use super::NOBODYS;
use crate::support::{list, messages, on_both_databases, somebody, text};

const SEND: &str = "/api/v1/chat/send";

on_both_databases!(a_conversation_begins_with_a_message_and_goes_on);

async fn a_conversation_begins_with_a_message_and_goes_on(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;

    let first = ada.post(SEND, &json!({"message": "Hello"})).await.expect(200);

    assert!(text(&first["response"]).contains("Hello"), "{first}");
    assert_eq!(first["reply"], first["response"]);
    assert!(first["tokens_used"].as_u64().unwrap() > 0);
    assert_eq!(list(&first["sources"]).len(), 0);
    let id = &first["conversation_id"];
    let again = json!({"message": "Again", "conversation_id": id, "language": "en"});
    let second = ada.post(SEND, &again).await.expect(200);
    assert_eq!(&second["conversation_id"], id);
    let stored = messages(&ada, &format!("/api/v1/conversations/{}", text(id))).await;
    assert_eq!(stored.len(), 4);
    assert_eq!(stored[3]["id"], second["message_id"]);
}

#[tokio::test]
async fn a_request_that_is_repeated_begins_one_conversation() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let send = || {
        let request = ada.request(reqwest::Method::POST, SEND).header("idempotency-key", "once");
        repartee_tests::server::Answer::to(request.json(&json!({"message": "Hello"})))
    };

    let (first, second) = tokio::join!(send(), send());
    let third = send().await;

    let first = first.expect(200);
    assert_eq!(second.expect(200), first);
    assert_eq!(third.expect(200), first);
    let all = ada.get("/api/v1/conversations").await.expect(200);
    assert_eq!(list(&all["data"]).len(), 1);
    assert_eq!(server.upstream().stats().requests, 1);
}

#[tokio::test]
async fn what_cannot_be_sent_begins_nothing() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;

    let empty = ada.post(SEND, &json!({"message": " "})).await.problem(422, "invalid_fields");
    assert_eq!(empty["errors"][0]["field"], "message");
    let unknown = json!({"message": "Hello", "conversation_id": NOBODYS});
    ada.post(SEND, &unknown).await.problem(404, "conversation_not_found");
    let no_id = json!({"message": "Hello", "conversation_id": "mine"});
    ada.post(SEND, &no_id).await.problem(404, "conversation_not_found");

    let all = ada.get("/api/v1/conversations").await.expect(200);
    assert_eq!(list(&all["data"]).len(), 0);
}
