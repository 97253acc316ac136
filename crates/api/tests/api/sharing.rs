//! Shared links over the wire.

use actix_web::test::TestRequest;
use repartee_application::{
    Page,
    ports::{SharedMessage, Snapshot},
};
use repartee_domain::{MessageId, messages::MessageRole};
use serde_json::json;
use uuid::Uuid;

use crate::fixture::{CONVERSATION, Fixture, NOW, as_user, conversation};

fn share() -> TestRequest {
    as_user(TestRequest::post()).uri(&format!("/api/v1/conversations/{CONVERSATION}/share"))
}

fn sharing() -> Fixture {
    let mut fixture = Fixture::default();
    fixture.conversations.expect_find().returning(|_, _| Ok(Some(conversation())));
    fixture.links.expect_put().returning(|_, _, _| Ok(None));
    fixture
}

#[actix_web::test]
async fn a_link_is_an_address_that_anyone_can_open() {
    let url = Some("https://chat.example.com".to_owned());
    let fixture = Fixture { public_url: url, ..sharing() };

    let answer = fixture.answer(share().set_json(json!({"expires_in_days": 7}))).await;

    assert_eq!(answer.status, 201);
    insta::assert_json_snapshot!(answer.body, @r#"
    {
      "created_at": "2027-01-15T08:00:00.123456Z",
      "expires_at": "2027-01-22T08:00:00.123456Z",
      "token": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      "url": "https://chat.example.com/api/v1/shared/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    }
    "#);
}

#[actix_web::test]
async fn where_the_server_knows_no_address_it_is_the_one_that_was_asked() {
    let answer = sharing().answer(share()).await;
    let url = answer.body["url"].as_str().unwrap();
    assert!(url.starts_with("http://localhost:8080/api/v1/shared/AAAA"), "{url}");
    assert_eq!(answer.body["expires_at"], json!(null));
}

#[actix_web::test]
async fn whoever_has_the_link_reads_it_without_a_token() {
    let mut fixture = Fixture::default();
    fixture.links.expect_read().withf(|_, page, _| page.limit == 1).returning(|token, _, _| {
        assert_eq!(token.0, [5; 32], "its hash");
        let id = MessageId::from_uuid(Uuid::from_u128(20));
        let message = SharedMessage {
            id,
            role: MessageRole::Assistant,
            content: "Green.".into(),
            model: Some("small".into()),
            created_at: NOW,
        };
        let messages = Page { items: vec![message], next: Some(id) };
        let title = Some("Tea".into());
        Ok(Some(Snapshot { title, shared_at: NOW, expires_at: None, messages }))
    });

    let answer = fixture.answer(TestRequest::get().uri("/api/v1/shared/token?limit=1")).await;

    assert_eq!(answer.status, 200);
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-robots-tag", "noindex, nofollow"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
    insta::assert_json_snapshot!(answer.body, @r#"
    {
      "data": [
        {
          "content": "Green.",
          "created_at": "2027-01-15T08:00:00.123456Z",
          "model": "small",
          "role": "assistant"
        }
      ],
      "expires_at": null,
      "next_cursor": "AAAAAAAAAAAAAAAAAAAAFA",
      "shared_at": "2027-01-15T08:00:00.123456Z",
      "title": "Tea"
    }
    "#);
}

#[actix_web::test]
async fn a_link_that_opens_nothing_is_not_there() {
    let mut fixture = Fixture::default();
    fixture.links.expect_read().returning(|_, _, _| Ok(None));
    let answer = fixture.answer(TestRequest::get().uri("/api/v1/shared/token")).await;
    assert_eq!((answer.status, &answer.body["code"]), (404, &json!("shared_link_not_found")));
}

#[actix_web::test]
async fn a_conversation_that_is_not_there_is_told_before_a_bad_body() {
    for (is_there, status, code) in
        [(false, 404, "conversation_not_found"), (true, 422, "invalid_fields")]
    {
        let mut fixture = Fixture::default();
        let found = is_there.then(conversation);
        fixture.conversations.expect_find().returning(move |_, _| Ok(found.clone()));
        let answer = fixture.answer(share().set_json(json!({"expires_in_days": "x"}))).await;
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)));
    }
}
