//! Ids and codes in paths.

use repartee_tests::server::Setup;
use serde_json::json;

use crate::support::{conversation_with, messages, on_both_databases, somebody, text};

on_both_databases!(a_code_takes_the_place_of_an_id, what_no_id_could_be_is_not_there);

async fn a_code_takes_the_place_of_an_id(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let path = conversation_with(&ada, json!({"title": "Tea"})).await;
    let made = ada.get(&path).await.expect(200);
    let code = text(&made["code"]);
    let is_code = |text: &str| text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    assert!(code.len() == 12 && is_code(code), "{code}");
    let by_code = format!("/api/v1/conversations/{code}");

    assert_eq!(ada.get(&by_code).await.expect(200), made);
    ada.patch(&by_code, &json!({"title": "Green tea"})).await.expect(200);
    let body = json!({"content": "Hi", "model": "mock-1-0"});
    let turn = ada.post(&format!("{by_code}/messages"), &body).await.expect(200);
    let message = text(&turn["message"]["code"]);
    assert!(message.len() == 10 && is_code(message), "{message}");
    let stream = format!("/api/v1/stream/chat/{code}?message=Hi&model=mock-1-0");
    ada.get(&stream).await.expect(200);
    assert_eq!(messages(&ada, &by_code).await.len(), 4);
    assert_eq!(ada.get(&path).await.expect(200)["title"], "Green tea");
    ada.delete(&by_code).await.expect(204);
    ada.get(&path).await.problem(404, "conversation_not_found");
}

async fn what_no_id_could_be_is_not_there(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let long = "x".repeat(2_000);
    for id in [
        "1",
        "-1",
        "null",
        "not-an-id",
        "ABCDEFGHIJKL",
        "abcdefghijkl",
        "01939c2e-7b9a-7000-8000-00000000000",
        "00000000-0000-0000-0000-000000000000",
        "%00",
        "%F0%9F%A6%80",
        "%27%20OR%201=1",
        "%ff",
        &*long,
    ] {
        for path in ["/api/v1/conversations/", "/api/v1/stream/chat/"] {
            let answer = ada.get(&format!("{path}{id}?message=x")).await;
            answer.problem(404, "conversation_not_found");
        }
        let answer = ada.get(&format!("/api/v1/conversations/{id}/messages")).await;
        answer.problem(404, "conversation_not_found");
        let body = json!({"content": "x"});
        let answer = ada.post(&format!("/api/v1/conversations/{id}/messages"), &body).await;
        answer.problem(404, "conversation_not_found");
        for path in ["", "/events"] {
            let answer = ada.get(&format!("/api/v1/generations/{id}{path}")).await;
            answer.problem(404, "generation_not_found");
        }
    }
}
