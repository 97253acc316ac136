//! What was found, to the letter.

use actix_web::test::TestRequest;
use repartee_application::{
    Page,
    ports::{Hit, SearchKey},
};
use repartee_domain::{
    MessageId,
    messages::MessageRole,
    search::{Piece, Query},
};
use serde_json::json;
use uuid::Uuid;

use crate::fixture::{CONVERSATION, Fixture, NOW, USER, as_user, conversation};

const MESSAGE: MessageId = MessageId::from_uuid(Uuid::from_u128(7));

fn hit(document: i64, message: Option<(MessageId, MessageRole)>) -> Hit {
    let piece = |text: &str, is_match| Piece { text: text.into(), is_match };
    Hit {
        key: SearchKey { score: 1.5, document },
        conversation: CONVERSATION,
        conversation_code: conversation().code,
        conversation_title: Some("Tea".into()),
        message,
        snippet: vec![piece("Green ", false), piece("<tea>", true)],
        created_at: NOW,
    }
}

#[actix_web::test]
async fn a_hit_says_where_it_stands_and_what_of_it_matches() {
    let mut fixture = Fixture::default();
    fixture
        .search
        .expect_search()
        .withf(|owner, query, conversation, page| {
            let tea = Query::parse("tea".into()).unwrap();
            *owner == USER && *query == tea && conversation.is_none() && page.limit == 20
        })
        .returning(|_, _, _, _| {
            let message = Some((MESSAGE, MessageRole::Assistant));
            Ok(Page { items: vec![hit(2, None), hit(1, message)], next: None })
        });

    let request = TestRequest::get().uri("/api/v1/search?q=tea");
    let answer = fixture.answer(as_user(request)).await;

    let snippet = json!([{"text": "Green ", "match": false}, {"text": "<tea>", "match": true}]);
    let title = json!({
        "type": "conversation",
        "conversation_id": CONVERSATION.to_string(),
        "conversation_code": "ABCDEFGHIJ01",
        "conversation_title": "Tea",
        "score": 1.5,
        "snippet": snippet,
        "created_at": "2027-01-15T08:00:00.123456Z",
    });
    let mut message = title.clone();
    message["type"] = json!("message");
    message["message_id"] = json!(MESSAGE.to_string());
    message["role"] = json!("assistant");
    assert_eq!(answer.body, json!({"data": [title, message], "next_cursor": null}));
}

#[actix_web::test]
async fn a_cursor_goes_on_where_the_page_ended() {
    let key = SearchKey { score: 0.1 + 0.2, document: 12 };
    let mut fixture = Fixture::default();
    fixture
        .search
        .expect_search()
        .returning(move |_, _, _, _| Ok(Page { items: vec![], next: Some(key) }));
    let request = TestRequest::get().uri("/api/v1/search?q=tea&limit=1");
    let answer = fixture.answer(as_user(request)).await;
    let cursor = answer.body["next_cursor"].as_str().unwrap().to_owned();

    let mut fixture = Fixture::default();
    fixture
        .search
        .expect_search()
        .withf(move |_, _, _, page| page.after == Some(key))
        .returning(|_, _, _, _| Ok(Page { items: vec![], next: None }));
    let uri = format!("/api/v1/search?q=tea&cursor={cursor}");
    let answer = fixture.answer(as_user(TestRequest::get().uri(&uri))).await;
    assert_eq!(answer.status, 200);
}

#[actix_web::test]
async fn what_cannot_be_looked_for_is_refused_with_its_field() {
    for (query, field, code) in [
        (String::new(), "q", "required"),
        ("q=%20".into(), "q", "required"),
        ("q=%00".into(), "q", "invalid"),
        (format!("q={}", "a".repeat(201)), "q", "too_long"),
        ("q=tea&cursor=AAAA".into(), "cursor", "invalid"),
        // Not a number.
        ("q=tea&cursor=f_gAAAAAAAAAAAAAAAAAAA".into(), "cursor", "invalid"),
        ("q=tea&limit=0".into(), "limit", "out_of_range"),
    ] {
        let request = TestRequest::get().uri(&format!("/api/v1/search?{query}"));
        let answer = Fixture::default().answer(as_user(request)).await;
        let error = &answer.body["errors"][0];
        assert_eq!(answer.status, 422, "{query}");
        assert_eq!((&error["field"], &error["code"]), (&json!(field), &json!(code)), "{query}");
    }
}

#[actix_web::test]
async fn a_conversation_that_is_not_there_is_not_searched() {
    let mut fixture = Fixture::default();
    fixture.conversations.expect_find().returning(|_, _| Ok(None));
    let uri = format!("/api/v1/search?q=tea&conversation_id={CONVERSATION}");
    let answer = fixture.answer(as_user(TestRequest::get().uri(&uri))).await;
    assert_eq!((answer.status, &answer.body["code"]), (404, &json!("conversation_not_found")));

    let mut fixture = Fixture::default();
    fixture.conversations.expect_find().returning(|_, _| Ok(Some(conversation())));
    fixture
        .search
        .expect_search()
        .withf(|_, _, within, _| *within == Some(CONVERSATION))
        .returning(|_, _, _, _| Ok(Page { items: vec![], next: None }));
    let answer = fixture.answer(as_user(TestRequest::get().uri(&uri))).await;
    assert_eq!(answer.body, json!({"data": [], "next_cursor": null}));
}
