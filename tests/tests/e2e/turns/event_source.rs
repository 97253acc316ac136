//! The stream that a browser's `EventSource` opens, and opens again by itself.

use repartee_tests::server::{Answer, Client, Setup};
use reqwest::Method;

use crate::support::{
    assert_whole, conversation, generation_of, messages, on_both_databases, somebody, words,
    written,
};

on_both_databases!(
    an_event_source_sends_once_however_often_it_reconnects,
    an_event_source_resumes_only_in_its_conversation,
);

fn stream_of(conversation: &str) -> String {
    conversation.replace("/conversations/", "/stream/chat/")
}

/// Reconnects as a browser does: the same address, and the last id in a header.
async fn reconnected(client: &Client, path: &str, last: &str) -> Answer {
    Answer::to(client.request(Method::GET, path).header("Last-Event-ID", last)).await
}

async fn an_event_source_sends_once_however_often_it_reconnects(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let token = ada.token.clone().unwrap();
    let path = format!(
        "{}?message=Hi%20%F0%9F%A6%80&model=mock-20-20&token={token}",
        stream_of(&conversation)
    );
    let browser = ada.without_token();
    let mut events = browser.resume(&path, None).await.take(3).await;

    while !events.last().is_some_and(repartee_tests::server::Event::is_terminal) {
        let last = events.last().unwrap().id.clone();
        events.extend(browser.resume(&path, Some(&last)).await.take(4).await);
    }

    assert_whole(&events);
    assert_eq!(written(&events), words(20));
    let last = events.last().unwrap().id.clone();
    reconnected(&browser, &path, &last).await.expect(204);
    browser.get(&format!("{path}&last_event_id={last}")).await.expect(204);
    let stored = messages(&ada, &conversation).await;
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[0]["content"], "Hi 🦀");
    assert_eq!(server.upstream().requests().len(), 1);
}

async fn an_event_source_resumes_only_in_its_conversation(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let grace = somebody(&server, "grace").await;
    let conversation = conversation(&ada).await;
    let path = format!("{}?message=Hi&model=mock-2-0", stream_of(&conversation));
    let events = ada.resume(&path, None).await.rest().await;
    assert_whole(&events);
    let start = &events[0].id;

    let other = stream_of(&crate::support::conversation(&ada).await);
    reconnected(&ada, &other, start).await.problem(404, "generation_not_found");
    reconnected(&ada, &path, "nonsense").await.problem(404, "generation_not_found");
    reconnected(&grace, &path, start).await.problem(404, "conversation_not_found");
    grace.get(&path).await.problem(404, "conversation_not_found");
    let unasked = ada.get(&stream_of(&conversation)).await;
    assert_eq!(unasked.problem(422, "invalid_fields")["errors"][0]["field"], "message");
    ada.get(&format!("{}?message=", stream_of(&conversation))).await.problem(422, "invalid_fields");
    ada.get(&generation_of(&events[0])).await.expect(200);
    assert_eq!(messages(&ada, &conversation).await.len(), 2);
}
