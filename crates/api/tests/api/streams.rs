//! Opening streams: tickets, cursors, and whose they are.

use std::time::Duration;

use actix_web::{http::Method, test::TestRequest};
use chrono::TimeDelta;
use futures::{StreamExt, stream};
use repartee_application::ports::{Changes, SecretHash, SignedIn, Ticket};
use repartee_domain::GenerationId;
use serde_json::json;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::fixture::{CONVERSATION, Fixture, NOW, SESSION, USER, as_user, conversation};

const GENERATION: GenerationId = GenerationId::from_uuid(Uuid::from_u128(10));

fn ticket() -> Ticket {
    Ticket {
        hash: SecretHash([6; 32]),
        user: USER,
        signed_in: SignedIn::Here(SESSION),
        expires_at: NOW + TimeDelta::seconds(30),
        resumes_until: NOW + TimeDelta::minutes(30),
    }
}

#[actix_web::test]
async fn a_ticket_is_given_out_and_nobody_keeps_the_answer() {
    let mut fixture = Fixture::default();
    fixture.tickets.expect_store().once().returning(|_| Ok(()));

    let answer = fixture.answer(as_user(TestRequest::post().uri("/api/v1/auth/ticket"))).await;

    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    assert_eq!(answer.body, json!({"ticket": "0".repeat(64), "expires_in": 30}));
}

#[actix_web::test]
async fn a_ticket_opens_one_stream() {
    for (found, status) in [(Some(ticket()), 200), (None, 401)] {
        let mut fixture = Fixture::default();
        fixture
            .tickets
            .expect_spend()
            .withf(|hash, _| *hash == ticket().hash)
            .once()
            .returning(move |_, _| Ok(found));
        fixture.feed.expect_watch().returning(|_, _| stream::pending().boxed());
        fixture.feed.expect_newest().returning(|_| Ok(7));
        fixture.turns.expect_running_of().returning(|_| Ok(Vec::new()));
        let request = TestRequest::default().method(Method::HEAD);

        let answer = fixture.answer(request.uri("/api/v1/events?ticket=ticket")).await;

        assert_eq!(answer.status, status);
    }
}

#[actix_web::test]
async fn a_spent_ticket_resumes_the_reply_that_it_opened() {
    for uri in [
        format!("/api/v1/generations/{GENERATION}/events?ticket=ticket"),
        format!("/api/v1/stream/chat/{CONVERSATION}?ticket=ticket&last_event_id={GENERATION}:3"),
    ] {
        let mut fixture = Fixture::default();
        fixture
            .tickets
            .expect_opened()
            .withf(|_, generation, _| *generation == GENERATION)
            .once()
            .returning(|_, _, _| Ok(Some(ticket())));
        fixture.conversations.expect_find().returning(|_, _| Ok(None));
        fixture.turns.expect_find().returning(|_, _| Ok(None));

        let answer = fixture.answer(TestRequest::get().uri(&uri)).await;

        // The ticket was good; the reply is gone.
        assert_eq!(answer.status, 404, "{}", answer.body);
    }
}

#[actix_web::test]
async fn a_ticket_that_opened_a_reply_opens_no_socket_and_no_feed() {
    for path in [
        format!("/ws/chat/{USER}"),
        format!("/api/v1/chat/ws/{USER}"),
        format!("/ws/{CONVERSATION}"),
        "/api/v1/events".to_owned(),
        format!("/api/v1/conversations/{CONVERSATION}/events"),
    ] {
        let last = format!("{GENERATION}:1");
        let in_query = format!("{path}?ticket=ticket&last_event_id={last}");
        let in_header = TestRequest::get().uri(&format!("{path}?ticket=ticket"));
        for request in
            [TestRequest::get().uri(&in_query), in_header.insert_header(("last-event-id", &*last))]
        {
            let mut fixture = Fixture::default();
            fixture.tickets.expect_opened().returning(|_, _, _| Ok(Some(ticket())));
            fixture.tickets.expect_spend().once().returning(|_, _| Ok(None));

            assert_eq!(fixture.answer(request).await.status, 401, "{path}");
        }
    }
}

#[actix_web::test]
async fn a_ticket_that_opens_a_socket_is_bound_to_no_reply() {
    let mut fixture = Fixture::default();
    fixture.tickets.expect_opened().returning(|_, _, _| Ok(None));
    fixture.tickets.expect_spend().once().returning(|_, _| Ok(Some(ticket())));
    fixture.tickets.expect_bind().never();
    let uri = format!("/ws/chat/{USER}?ticket=ticket&last_event_id={GENERATION}:1");
    assert_eq!(fixture.answer(TestRequest::get().uri(&uri)).await.status, 426);
}

#[actix_web::test]
async fn an_event_id_that_is_no_text_names_nothing() {
    for (uri, expected) in [
        (format!("/api/v1/generations/{GENERATION}/events"), (404, "generation_not_found")),
        (format!("/api/v1/stream/chat/{CONVERSATION}?message=Hi"), (404, "generation_not_found")),
        ("/api/v1/events".to_owned(), (422, "invalid_fields")),
    ] {
        let request = as_user(TestRequest::get().uri(&uri));
        let request = request.insert_header(("last-event-id", "\u{e4}"));
        let answer = Fixture::default().answer(request).await;
        assert_eq!((answer.status, answer.body["code"].as_str().unwrap()), expected, "{uri}");
    }
}

#[actix_web::test]
async fn a_ticket_is_good_for_streams_alone() {
    let request = TestRequest::get().uri("/api/v1/conversations?ticket=ticket&token=good");
    assert_eq!(Fixture::default().answer(request).await.status, 401);
}

#[actix_web::test]
async fn what_is_no_cursor_is_refused() {
    let request = TestRequest::get().uri("/api/v1/events?last_event_id=x");
    let answer = Fixture::default().answer(as_user(request)).await;
    assert_eq!((answer.status, &answer.body["code"]), (422, &json!("invalid_fields")));
    assert_eq!(answer.body["errors"][0]["field"], "last_event_id");
}

#[actix_web::test]
async fn the_feed_of_what_is_not_there_is_not_there() {
    for id in [CONVERSATION.to_string(), "x".to_owned()] {
        let mut fixture = Fixture::default();
        fixture.conversations.expect_find().returning(|_, _| Ok(None));
        let request = TestRequest::get().uri(&format!("/api/v1/conversations/{id}/events"));
        let answer = fixture.answer(as_user(request)).await;
        assert_eq!(answer.body["code"], "conversation_not_found");
    }
}

#[tokio::test(start_paused = true)]
async fn a_feed_ends_when_the_token_that_opened_it_runs_out() {
    for uri in ["/api/v1/events".to_owned(), format!("/api/v1/conversations/{CONVERSATION}/events")]
    {
        let mut fixture = Fixture::default();
        fixture.conversations.expect_find().returning(|_, _| Ok(Some(conversation())));
        fixture.feed.expect_watch().returning(|_, _| stream::pending().boxed());
        fixture.feed.expect_newest().returning(|_| Ok(7));
        fixture.feed.expect_changes_after().returning(|_, _, read_to, _| {
            Ok(Some(Changes { changes: Vec::new(), read_to, has_more: false }))
        });
        fixture.turns.expect_running_of().returning(|_| Ok(Vec::new()));
        let opened = Instant::now();

        let told = fixture.answer(as_user(TestRequest::get().uri(&uri)));
        let answer = timeout(Duration::from_mins(31), told).await.expect("it goes on");

        assert_eq!((answer.status, opened.elapsed().as_secs()), (200, 30 * 60));
    }
}
