//! Requests that are repeated.

use actix_web::test::TestRequest;
use repartee_application::ports::{Done, UsedKey};
use repartee_domain::{
    MessageId,
    messages::{Message, MessageRole},
};
use serde_json::json;
use uuid::Uuid;

use crate::fixture::{CONVERSATION, Fixture, NOW, as_user, conversation};

const NOTE: MessageId = MessageId::from_uuid(Uuid::from_u128(20));

fn note(key: &'static str, content: &str) -> TestRequest {
    as_user(TestRequest::post())
        .uri(&format!("/api/v1/conversations/{CONVERSATION}/messages"))
        .insert_header(("idempotency-key", key))
        .set_json(json!({"content": content, "reply": false}))
}

#[actix_web::test]
async fn what_is_no_key_is_refused_with_its_field() {
    for key in ["a b", "", "\u{e4}"] {
        let mut fixture = Fixture::default();
        fixture.conversations.expect_find().returning(|_, _| Ok(Some(conversation())));

        let answer = fixture.answer(note(key, "Tea")).await;

        assert_eq!((answer.status, &answer.body["code"]), (422, &json!("invalid_fields")));
        assert_eq!(answer.body["errors"][0]["field"], "idempotency_key");
    }
}

#[actix_web::test]
async fn a_key_of_another_request_is_refused_for_good() {
    let mut fixture = Fixture::default();
    let used = UsedKey { fingerprint: [0; 32], done: Done::Message(NOTE) };
    fixture.keys.expect_find().returning(move |_, _, _, _| Ok(Some(used)));

    let answer = fixture.answer(note("a-key", "Tea")).await;

    assert_eq!((answer.status, &answer.body["code"]), (422, &json!("idempotency_key_reused")));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
}

/// The fingerprint that a request's key is stored with.
async fn fingerprint(request: TestRequest) -> [u8; 32] {
    let (told, stored) = std::sync::mpsc::channel();
    let mut fixture = Fixture::default();
    fixture.conversations.expect_find().returning(|_, _| Ok(Some(conversation())));
    fixture.keys.expect_find().returning(|_, _, _, _| Ok(None));
    fixture.messages.expect_store().returning(move |_, _, _, key| {
        told.send(key.unwrap().fingerprint).unwrap();
        Ok(None)
    });
    assert_eq!(fixture.answer(request).await.status, 201);
    stored.recv().unwrap()
}

#[actix_web::test]
async fn the_same_request_stores_nothing_again() {
    let fingerprint = fingerprint(note("a-key", "Tea")).await;
    let mut fixture = Fixture::default();
    let used = UsedKey { fingerprint, done: Done::Message(NOTE) };
    fixture
        .keys
        .expect_find()
        .withf(|_, route, key, _| route == "turns" && key == "a-key")
        .returning(move |_, _, _, _| Ok(Some(used)));
    fixture.messages.expect_find().returning(|_, _| {
        Ok(Some(Message::said(
            NOTE,
            "ABCDEFGHI0".parse().unwrap(),
            CONVERSATION,
            None,
            MessageRole::User,
            Message::parse_content("Tea".into()).unwrap(),
            NOW,
        )))
    });

    let answer = fixture.answer(note("a-key", "Tea")).await;

    assert_eq!((answer.status, &answer.body["message"]["id"]), (201, &json!(NOTE.to_string())));
}

fn new_conversation(body: &serde_json::Value) -> TestRequest {
    as_user(TestRequest::post())
        .uri("/api/v1/conversations")
        .insert_header(("idempotency-key", "a-key"))
        .set_json(body)
}

/// What a new conversation's key is stored with.
async fn fingerprint_of_a_conversation(body: &serde_json::Value) -> [u8; 32] {
    let (told, stored) = std::sync::mpsc::channel();
    let mut fixture = Fixture::default();
    fixture.keys.expect_find().returning(|_, _, _, _| Ok(None));
    fixture.conversations.expect_insert().once().returning(move |_, key| {
        told.send(key.unwrap().fingerprint).unwrap();
        Ok(None)
    });
    assert_eq!(fixture.answer(new_conversation(body)).await.status, 201);
    stored.recv().unwrap()
}

#[actix_web::test]
async fn a_conversation_is_made_once() {
    let tea = json!({"title": "Tea"});
    let fingerprint = fingerprint_of_a_conversation(&tea).await;
    let used = UsedKey { fingerprint, done: Done::Resource(CONVERSATION.as_uuid()) };
    // Found before, and found when somebody was faster.
    for is_race in [false, true] {
        let mut fixture = Fixture::default();
        fixture
            .keys
            .expect_find()
            .withf(|_, route, key, _| route == "conversations" && key == "a-key")
            .returning(move |_, _, _, _| Ok((!is_race).then_some(used)));
        if is_race {
            fixture.conversations.expect_insert().once().returning(move |_, _| Ok(Some(used)));
        }
        fixture.conversations.expect_find().returning(|_, _| Ok(Some(conversation())));

        let answer = fixture.answer(new_conversation(&tea)).await;

        assert_eq!((answer.status, &answer.body["id"]), (201, &json!(CONVERSATION.to_string())));
    }

    let mut fixture = Fixture::default();
    fixture.keys.expect_find().returning(move |_, _, _, _| Ok(Some(used)));
    let answer = fixture.answer(new_conversation(&json!({"title": "Coffee"}))).await;
    assert_eq!((answer.status, &answer.body["code"]), (422, &json!("idempotency_key_reused")));
}

#[actix_web::test]
async fn what_was_made_and_is_gone_is_not_made_again() {
    let tea = json!({"title": "Tea"});
    let fingerprint = fingerprint_of_a_conversation(&tea).await;
    let used = UsedKey { fingerprint, done: Done::Resource(CONVERSATION.as_uuid()) };
    let mut fixture = Fixture::default();
    fixture.keys.expect_find().returning(move |_, _, _, _| Ok(Some(used)));
    fixture.conversations.expect_find().returning(|_, _| Ok(None));

    let answer = fixture.answer(new_conversation(&tea)).await;

    assert_eq!((answer.status, &answer.body["code"]), (409, &json!("already_done")));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
}

#[actix_web::test]
async fn another_body_is_another_request() {
    let one = fingerprint(note("a-key", "Tea")).await;
    assert_eq!(one, fingerprint(note("another-key", "Tea")).await);
    assert_ne!(one, fingerprint(note("a-key", "Coffee")).await);
}
