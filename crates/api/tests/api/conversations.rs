//! Conversations over the wire.

use actix_web::{http::Method, test::TestRequest};
use repartee_application::{
    Page,
    ports::{ChangeKind, ConversationKey, PortError},
};
use repartee_domain::conversations::ConversationStatusName;
use serde_json::json;

use crate::fixture::{CONVERSATION, Fixture, NOW, USER, as_user, conversation};

fn holding() -> Fixture {
    let mut fixture = Fixture::default();
    fixture
        .conversations
        .expect_find()
        .withf(|owner, id| *owner == USER && *id == CONVERSATION.into())
        .returning(|_, _| Ok(Some(conversation())));
    fixture
}

fn path() -> String {
    format!("/api/v1/conversations/{CONVERSATION}")
}

#[actix_web::test]
async fn a_conversation_has_its_entity_tag() {
    let answer = holding().answer(as_user(TestRequest::get().uri(&path()))).await;

    assert_eq!((answer.status, answer.header("etag")), (200, Some("\"1\"")));
    insta::assert_json_snapshot!(answer.body, @r#"
    {
      "code": "ABCDEFGHIJ01",
      "created_at": "2027-01-15T08:00:00.123456Z",
      "ended_at": null,
      "id": "00000000-0000-0000-0000-000000000002",
      "last_message_at": null,
      "metadata": {
        "a": 1
      },
      "model": null,
      "persona_id": null,
      "project_id": null,
      "status": "active",
      "system_message": null,
      "title": "Tea",
      "updated_at": "2027-01-15T08:00:00.123456Z"
    }
    "#);
}

#[actix_web::test]
async fn a_list_is_a_page_with_a_cursor() {
    let mut fixture = Fixture::default();
    let key = ConversationKey { last_activity_at: NOW, id: CONVERSATION };
    fixture
        .conversations
        .expect_list()
        .withf(|_, filter, page| {
            filter.statuses == [ConversationStatusName::Active, ConversationStatusName::Archived]
                && page.limit == 1
                && page.after.is_none()
        })
        .returning(move |_, _, _| Ok(Page { items: vec![conversation()], next: Some(key) }));
    let uri = "/api/v1/conversations?status=active,archived&limit=1";

    let answer = fixture.answer(as_user(TestRequest::get().uri(uri))).await;

    assert_eq!(answer.body["data"][0]["title"], "Tea");
    let cursor = answer.body["next_cursor"].as_str().unwrap().to_owned();

    let mut fixture = Fixture::default();
    fixture
        .conversations
        .expect_list()
        .withf(move |_, _, page| page.after == Some(key))
        .returning(|_, _, _| Ok(Page { items: vec![], next: None }));
    let uri = format!("/api/v1/conversations?cursor={cursor}");
    let answer = fixture.answer(as_user(TestRequest::get().uri(&uri))).await;
    assert_eq!(answer.body, json!({"data": [], "next_cursor": null}));
}

#[actix_web::test]
async fn null_empties_a_field_and_absence_leaves_it() {
    let mut fixture = holding();
    fixture
        .conversations
        .expect_save()
        .withf(|saved, told| {
            *told == ChangeKind::ConversationUpdated
                && saved.subject.title.is_none()
                && saved.subject.metadata.as_deref() == Some("{\"a\":1}")
        })
        .once()
        .returning(|saved, _| Ok(saved));

    let request = TestRequest::patch().uri(&path()).set_json(json!({"title": null}));
    assert_eq!(fixture.answer(as_user(request)).await.status, 200);
}

#[actix_web::test]
async fn a_stale_entity_tag_is_412_and_a_lost_race_409() {
    let stale = TestRequest::patch()
        .uri(&path())
        .insert_header(("if-match", "\"9\""))
        .set_json(json!({"title": "Coffee"}));
    assert_eq!(holding().answer(as_user(stale)).await.body["code"], "version_mismatch");

    let mut fixture = holding();
    fixture.conversations.expect_save().returning(|_, _| Err(PortError::Stale));
    let raced = TestRequest::put().uri(&path()).set_json(json!({"title": "Coffee"}));
    let answer = fixture.answer(as_user(raced)).await;
    assert_eq!((answer.status, answer.body["code"].as_str()), (409, Some("stale_write")));
}

#[actix_web::test]
async fn a_missing_conversation_is_told_before_a_bad_body() {
    for (method, end) in [(Method::PATCH, ""), (Method::POST, "/messages")] {
        let mut fixture = Fixture::default();
        fixture.conversations.expect_find().returning(|_, _| Ok(None));
        let request = TestRequest::default()
            .method(method)
            .uri(&format!("{}{end}", path()))
            .insert_header(("content-type", "application/json"))
            .set_payload("{\"content\": 5, \"status\": []}");

        let answer = fixture.answer(as_user(request)).await;

        assert_eq!(answer.body["code"], "conversation_not_found");
    }
}
