//! Sends that begin no reply.

use futures::future::join_all;
use repartee_tests::server::{Engine, Setup};
use serde_json::json;

use crate::support::{
    ask, conversation, generation_of, list, messages, on_both_databases, somebody, text,
};

on_both_databases!(
    one_reply_at_a_time_is_written_in_a_conversation,
    of_many_sends_at_once_one_is_answered,
    a_closed_conversation_takes_no_message_until_it_is_opened,
);

async fn one_reply_at_a_time_is_written_in_a_conversation(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let path = format!("{conversation}/messages");
    let body = json!({"content": "Wait", "model": "mock-hang"});
    let mut running = ada.stream(&path, &body).await;
    let start = running.next().await;

    let refused = ask(&ada, &conversation, "Impatient", "mock-1-0").await;
    let problem = refused.problem(409, "reply_in_progress");
    assert_eq!(problem["generation_id"], start.json()["generation_id"]);
    assert_eq!(refused.header("x-should-retry"), "");
    let streamed = ada.stream(&path, &json!({"content": "Streaming"})).await;
    assert_eq!(streamed.status, 409);

    // Elsewhere one may go on.
    let other = crate::support::conversation(&ada).await;
    ask(&ada, &other, "Here?", "mock-1-0").await.expect(200);

    ada.post(&format!("{}/cancel", generation_of(&start)), &json!({})).await.expect(200);
    ask(&ada, &conversation, "Now?", "mock-1-0").await.expect(200);
    let contents: Vec<_> = messages(&ada, &conversation)
        .await
        .iter()
        .filter(|message| message["role"] == "user")
        .map(|message| text(&message["content"]).to_owned())
        .collect();
    assert_eq!(contents, ["Wait", "Now?"]);
}

async fn of_many_sends_at_once_one_is_answered(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;

    let sends = (0..8).map(|_| ask(&ada, &conversation, "Race", "mock-20-20"));
    let answers = join_all(sends).await;

    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.problem(409, "reply_in_progress");
    }
    assert_eq!(messages(&ada, &conversation).await.len(), 2);
    assert_eq!(server.upstream().requests().len(), 1);
}

async fn a_closed_conversation_takes_no_message_until_it_is_opened(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    for (status, code) in [("archived", "conversation_archived"), ("ended", "conversation_ended")] {
        ada.patch(&conversation, &json!({"status": status})).await.expect(200);
        ask(&ada, &conversation, "Hello?", "mock-1-0").await.problem(409, code);
        let stored = json!({"content": "x", "reply": false});
        ada.post(&format!("{conversation}/messages"), &stored).await.problem(409, code);
    }
    assert_eq!(messages(&ada, &conversation).await.len(), 0);
    ada.patch(&conversation, &json!({"status": "active"})).await.expect(200);
    ask(&ada, &conversation, "Hello again", "mock-1-0").await.expect(200);
}

#[tokio::test]
async fn an_impossible_message_is_refused_by_its_field() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let path = format!("{conversation}/messages");
    for (field, body) in [
        ("content", json!({})),
        ("content", json!({"content": ""})),
        ("content", json!({"content": " \n\t"})),
        ("content", json!({"content": 5})),
        ("content", json!({"content": null})),
        ("content", json!({"content": "nul\u{0}"})),
        ("content", json!({"content": "x".repeat(100_001)})),
        ("temperature", json!({"content": "x", "temperature": 2.1})),
        ("temperature", json!({"content": "x", "temperature": -0.1})),
        ("temperature", json!({"content": "x", "temperature": "warm"})),
        ("max_tokens", json!({"content": "x", "max_tokens": 0})),
        ("max_tokens", json!({"content": "x", "max_tokens": -1})),
        ("reply", json!({"content": "x", "reply": "yes"})),
        ("role", json!({"content": "x", "role": "king"})),
    ] {
        let problem = ada.post(&path, &body).await.problem(422, "invalid_fields");
        assert_eq!(list(&problem["errors"])[0]["field"], field, "{problem}");
    }
    assert_eq!(messages(&ada, &conversation).await.len(), 0);
    assert_eq!(server.upstream().requests().len(), 0);
}
