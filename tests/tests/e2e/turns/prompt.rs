//! What a model gets to see.

use repartee_tests::{
    server::{Engine, Server, Setup},
    upstream::RecordedRequest,
};
use serde_json::{Value, json};

use crate::support::{ask, conversation, conversation_with, messages, on_both_databases, somebody};

on_both_databases!(the_history_goes_with_the_question, what_is_only_stored_is_answered_by_nobody);

/// The last request that the model got.
fn last_request(server: &Server) -> RecordedRequest {
    server.upstream().requests().pop().expect("the model was asked")
}

fn said(request: &RecordedRequest) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let messages = request.messages().iter();
    messages.map(|message| (text(&message["role"]), text(&message["content"]))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(role, text)| ((*role).to_owned(), (*text).to_owned())).collect()
}

async fn the_history_goes_with_the_question(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation_with(&ada, json!({"system_message": "Be brief."})).await;
    ask(&ada, &conversation, "First?", "mock-2-0").await.expect(200);
    ask(&ada, &conversation, "Second?", "mock-1-0").await.expect(200);

    let body =
        json!({"content": "Third?", "model": "mock-echo", "temperature": 0.5, "max_tokens": 7});
    ada.post(&format!("{conversation}/messages"), &body).await.expect(200);

    let request = last_request(&server);
    let expected = [
        ("system", "Be brief."),
        ("user", "First?"),
        ("assistant", "tok~0~ tok~1~ "),
        ("user", "Second?"),
        ("assistant", "tok~0~ "),
        ("user", "Third?"),
    ];
    assert_eq!(said(&request), pairs(&expected));
    assert_eq!(request.model(), "mock-echo");
    assert_eq!(request.param("temperature"), 0.5);
    assert_eq!(request.param("max_tokens"), 7);
    assert_eq!(request.param("stream"), true);
    assert_eq!(request.param("stream_options")["include_usage"], true);
}

async fn what_is_only_stored_is_answered_by_nobody(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let path = format!("{conversation}/messages");
    for body in [
        json!({"content": "An imported question", "reply": false}),
        json!({"content": "An imported reply", "role": "assistant"}),
        json!({"content": "Imported instructions", "role": "system", "reply": true}),
    ] {
        let stored = ada.post(&path, &body).await.expect(201);
        assert_eq!(stored["message"]["content"], body["content"]);
        assert_eq!(stored["message"]["role"], body.get("role").unwrap_or(&json!("user")).clone());
        assert_eq!((&stored["reply"], &stored["usage"]), (&Value::Null, &Value::Null));
    }
    assert_eq!(server.upstream().requests().len(), 0);

    ask(&ada, &conversation, "And now?", "mock-echo").await.expect(200);

    let seen = said(&last_request(&server));
    let expected = [
        ("user", "An imported question"),
        ("assistant", "An imported reply"),
        ("user", "And now?"),
    ];
    assert_eq!(seen[0].0, "system");
    assert_eq!(seen[1..], pairs(&expected));
    assert_eq!(messages(&ada, &conversation).await.len(), 5);
}

#[tokio::test]
async fn the_model_is_the_messages_the_conversations_or_the_default() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation_with(&ada, json!({"model": "mock-1-0"})).await;
    let path = format!("{conversation}/messages");
    ada.post(&path, &json!({"content": "x"})).await.expect(200);
    assert_eq!(last_request(&server).model(), "mock-1-0");
    ask(&ada, &conversation, "x", "mock-2-0").await.expect(200);
    assert_eq!(last_request(&server).model(), "mock-2-0");
    ada.patch(&conversation, &json!({"model": null})).await.expect(200);
    ada.post(&path, &json!({"content": "x"})).await.expect(200);
    assert_eq!(last_request(&server).model(), "mock-echo");
}

#[tokio::test]
async fn there_is_one_system_message_and_the_operators_part_comes_first() {
    let server = Setup::on(Engine::Sqlite)
        .with("REPARTEE__REPLIES__SYSTEM_MESSAGE", "Never swear.")
        .start()
        .await;
    let ada = somebody(&server, "ada").await;
    let plain = conversation(&ada).await;
    ask(&ada, &plain, "x", "mock-1-0").await.expect(200);
    assert_eq!(said(&last_request(&server))[0], pairs(&[("system", "Never swear.")])[0]);
    let own = conversation_with(&ada, json!({"system_message": "Be brief."})).await;
    ask(&ada, &own, "x", "mock-1-0").await.expect(200);
    let expected = [("system", "Never swear.\n\nBe brief."), ("user", "x")];
    assert_eq!(said(&last_request(&server)), pairs(&expected));
}

#[tokio::test]
async fn a_long_history_loses_its_oldest_messages_and_begins_with_a_question() {
    let server = Setup::on(Engine::Sqlite)
        .with("REPARTEE__REPLIES__CONTEXT_TOKENS", "1024")
        .with("REPARTEE__REPLIES__MAX_OUTPUT_TOKENS", "128")
        .start()
        .await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let path = format!("{conversation}/messages");
    for number in 0..20 {
        let long = format!("{number} {}", "lorem ipsum dolor ".repeat(20));
        ada.post(&path, &json!({"content": long, "reply": false})).await.expect(201);
        let reply = json!({"content": long, "role": "assistant"});
        ada.post(&path, &reply).await.expect(201);
    }

    ask(&ada, &conversation, "The question", "mock-1-0").await.expect(200);

    let seen = said(&last_request(&server));
    assert!(seen.len() > 3 && seen.len() < 30, "{} messages", seen.len());
    assert_eq!(seen[0].0, "system");
    assert_eq!(seen[1].0, "user");
    assert_eq!(seen.last(), pairs(&[("user", "The question")]).first());
    assert!(seen[seen.len() - 2].1.starts_with("19 "));
}
