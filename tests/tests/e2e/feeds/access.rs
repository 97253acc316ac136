//! Who is told, and for how long.

use repartee_tests::server::{Client, Engine, Server, Setup};
use serde_json::json;
use tokio::time::timeout;

use crate::support::{
    WITHIN_A_SECOND, ask, begin, conversation, generation_of, id_of, id_of_user, log_in,
    on_both_databases, on_replicas, register, somebody, text,
};

on_both_databases!(
    strangers_are_told_nothing,
    a_cursor_that_never_was_is_reset,
    logging_out_ends_every_stream_of_that_session,
);
on_replicas!(logging_out_elsewhere_ends_every_stream);

async fn strangers_are_told_nothing(setup: Setup) {
    let server = setup.start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let mut feed = grace.feed("/api/v1/events", None).await;
    let hers = conversation(&ada).await;
    ask(&ada, &hers, "Secret", "mock-4-2").await.expect(200);

    let own = conversation(&grace).await;

    let first = feed.next().await;
    assert_eq!(first.name, "conversation.created");
    assert!(own.ends_with(text(&first.json()["conversation_id"])), "{first:?}");
    grace.get(&format!("{hers}/events")).await.problem(404, "conversation_not_found");
    for path in ["/api/v1/events", &format!("{hers}/events")] {
        server.client().get(path).await.problem(401, "unauthenticated");
    }
    // In a browser, by a ticket or a token.
    let ticket = ada.post("/api/v1/auth/ticket", &json!({})).await.json();
    let path = format!("/api/v1/events?ticket={}", text(&ticket["ticket"]));
    assert_eq!(server.client().feed(&path, None).await.status, 200);
    server.client().get(&path).await.problem(401, "unauthenticated");
    let path = format!("/api/v1/events?token={}", ada.token.as_deref().unwrap());
    assert_eq!(server.client().feed(&path, None).await.status, 200);
}

async fn a_cursor_that_never_was_is_reset(setup: Setup) {
    let server = setup.start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let mut hers = ada.feed("/api/v1/events", None).await;
    for _ in 0..5 {
        conversation(&ada).await;
        hers.next().await;
    }

    // Five changes on, where nothing has happened yet.
    let mut feed = grace.feed("/api/v1/events", Some(&hers.cursor)).await;
    assert_eq!(feed.next().await.name, "reset");
    let own = conversation(&grace).await;
    let next = feed.next().await;
    assert_eq!(next.name, "conversation.created");
    assert!(own.ends_with(text(&next.json()["conversation_id"])));

    // What was reset can be resumed.
    let cursor = feed.cursor.clone();
    drop(feed);
    let another = conversation(&grace).await;
    let next = grace.feed("/api/v1/events", Some(&cursor)).await.next().await;
    assert!(another.ends_with(text(&next.json()["conversation_id"])), "{next:?}");
}

/// Two feeds and a reply of one session end when it is logged out `at`; those of another don't.
async fn assert_log_out_ends(server: &Server, at: &Server) {
    let registered = register(server, "ada").await;
    let phone = server.client().with_token(text(&registered["access_token"]));
    let other = log_in(server, "ada").await;
    let laptop = server.client().with_token(text(&other["access_token"]));
    let conversation = conversation(&laptop).await;
    let mut all = phone.feed("/api/v1/events", None).await;
    let mut one = phone.feed(&format!("{conversation}/events"), None).await;
    let mut kept = laptop.feed("/api/v1/events", None).await;
    let start = begin(&laptop, &conversation, "mock-400-50").await.next().await;
    let path = format!("{}/events", generation_of(&start));
    let mut reply = phone.resume(&path, None).await;
    reply.next().await;

    let elsewhere: Client = at.client().with_token(phone.token.as_deref().unwrap());
    elsewhere.post("/api/v1/auth/logout", &json!({})).await.expect(204);

    let ends = async { tokio::join!(all.ended(), one.ended(), reply.rest()) };
    let (_, _, rest) = timeout(WITHIN_A_SECOND, ends).await.expect("the streams go on");
    assert!(rest.iter().all(|event| !event.is_terminal()), "{rest:?}");
    let told = kept.until(|event| event.name == "generation.delta").await;
    assert!(!told.is_empty());
    phone.get("/api/v1/events").await.problem(401, "unauthenticated");
    let path = format!("{}/cancel", generation_of(&start));
    laptop.post(&path, &json!({})).await.expect(200);
    kept.until(|event| event.name == "generation.ended").await;
}

async fn logging_out_ends_every_stream_of_that_session(setup: Setup) {
    let server = setup.start().await;
    assert_log_out_ends(&server, &server).await;
}

async fn logging_out_elsewhere_ends_every_stream(setup: Setup) {
    let [here, there] = setup.replicas().await;
    assert_log_out_ends(&here, &there).await;
}

#[tokio::test]
async fn a_ticket_opens_one_stream_and_resumes_it() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let conversation = conversation(&ada).await;
    let answer = ada.post("/api/v1/auth/ticket", &json!({})).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let made = answer.json();
    assert_eq!(made["expires_in"], 30);
    let ticket = text(&made["ticket"]);
    let browser = server.client();
    let stream = conversation.replace("/conversations/", "/stream/chat/");
    let path = format!("{stream}?message=Hi&model=mock-20-20&ticket={ticket}");

    let mut events = browser.resume(&path, None).await.take(3).await;
    while !events.last().is_some_and(repartee_tests::server::Event::is_terminal) {
        let last = events.last().unwrap().id.clone();
        events.extend(browser.resume(&path, Some(&last)).await.take(5).await);
    }

    crate::support::assert_whole(&events);
    let last = &events.last().unwrap().id;
    assert_eq!(browser.resume(&path, Some(last)).await.status, 204);
    // It is good for that reply, and for nothing else.
    browser.get(&path).await.problem(401, "unauthenticated");
    browser.get(&format!("/api/v1/events?ticket={ticket}")).await.problem(401, "unauthenticated");
    browser.get(&format!("/api/v1/users/me?ticket={ticket}")).await.problem(401, "unauthenticated");
    // Whoever saw the address names the reply as well: that opens no socket and no feed.
    let (user, id) = (id_of_user(&ada).await, id_of(&conversation));
    for path in [format!("/ws/chat/{user}"), format!("/api/v1/chat/ws/{user}"), format!("/ws/{id}")]
    {
        let path = format!("{path}?ticket={ticket}&last_event_id={last}");
        assert_eq!(browser.try_socket(&path, &[]).await.unwrap_err().status, 401, "{path}");
    }
    for path in ["/api/v1/events".to_owned(), format!("{conversation}/events")] {
        let path = format!("{path}?ticket={ticket}&last_event_id={last}");
        browser.get(&path).await.problem(401, "unauthenticated");
    }
    let theirs = crate::support::conversation(&grace).await;
    let start = begin(&grace, &theirs, "mock-2-0").await.next().await;
    let other = format!("{}/events?ticket={ticket}", generation_of(&start));
    assert!([401, 404].contains(&browser.get(&other).await.status));
}
