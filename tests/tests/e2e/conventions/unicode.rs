//! Text comes back as it was written, and so do conversations as they were changed.

use repartee_tests::server::{Answer, Setup};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ask, conversation, conversation_with, messages, on_both_databases, somebody};

on_both_databases!(
    any_script_comes_back_as_it_was_written,
    a_conversation_is_changed_field_by_field
);

const TEXTS: [&str; 8] = [
    "👩‍👩‍👧‍👦 🏳️‍🌈 \u{1f9d1}\u{1f3fd}\u{200d}\u{1f680}",
    "שלום עולם \u{202e}reversed\u{202c}",
    "ภาษาไทยไม่เว้นวรรค 日本語 한국어",
    "e\u{301} \u{e9} ﬀ Å \u{212b}",
    "\u{10ffff}\u{fffd}\u{feff}\u{200b}x",
    " leading, trailing and\r\n\tbroken \u{2028} lines ",
    "\u{1}\u{7f}\u{1b}[31m",
    "<script>alert('x')</script> \"\\\" ${x} {{x}} %s '; DROP TABLE users; --",
];

async fn any_script_comes_back_as_it_was_written(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    for written in TEXTS {
        let body =
            json!({"title": written, "system_message": written, "metadata": {written: written}});
        let path = conversation_with(&ada, body).await;
        let turn = ask(&ada, &path, written, "mock-echo").await.expect(200);
        assert_eq!(turn["reply"]["content"], written);
        let asked = server.upstream().requests().pop().unwrap();
        assert_eq!(asked.messages()[0]["content"], written);
        assert_eq!(asked.messages()[1]["content"], written);
        let stored = ada.get(&path).await.expect(200);
        assert_eq!(stored["title"], written);
        assert_eq!(stored["metadata"][written], written);
        for message in messages(&ada, &path).await {
            assert_eq!(message["content"], written);
        }
        let name = json!({"first_name": written});
        assert_eq!(ada.patch("/api/v1/users/me", &name).await.expect(200)["first_name"], written);
    }
    let long = "🦀".repeat(50_000);
    let path = conversation(&ada).await;
    ask(&ada, &path, &long, "mock-1-0").await.expect(200);
    assert_eq!(messages(&ada, &path).await[0]["content"], long);
}

async fn a_conversation_is_changed_field_by_field(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let body = json!({"title": "Tea", "system_message": "Be brief.", "model": "mock-1-0",
        "metadata": {"b": 1, "a": [null, 2.5]}});
    let made = ada.post("/api/v1/conversations", &body).await;
    let path = made.header("location").to_owned();
    let tag = made.header("etag").to_owned();
    let made = made.expect(201);
    for field in ["title", "system_message", "model", "metadata"] {
        assert_eq!(made[field], body[field], "{field}");
    }
    assert_eq!((&made["status"], &made["last_message_at"]), (&json!("active"), &Value::Null));
    assert_eq!(ada.get(&path).await.expect(200), made);

    for (method, body) in
        [(Method::PATCH, json!({"title": null})), (Method::PUT, json!({"model": null, "x": 1}))]
    {
        Answer::to(ada.request(method, &path).json(&body)).await.expect(200);
    }
    let changed = ada.get(&path).await;
    let new_tag = changed.header("etag").to_owned();
    let changed = changed.expect(200);
    assert_eq!((&changed["title"], &changed["model"]), (&Value::Null, &Value::Null));
    assert_eq!(changed["system_message"], "Be brief.");

    let write = async |tag: &str| {
        let request = ada.request(Method::PATCH, &path).header("If-Match", tag);
        Answer::to(request.json(&json!({"title": "Coffee"}))).await
    };
    write(&tag).await.problem(412, "version_mismatch");
    write(&new_tag).await.expect(200);
    write(&new_tag).await.problem(412, "version_mismatch");

    let ended = ada.patch(&path, &json!({"status": "ended"})).await.expect(200);
    assert!(ended["ended_at"].is_string(), "{ended}");
    let active = ada.patch(&path, &json!({"status": "active"})).await.expect(200);
    assert_eq!(active["ended_at"], Value::Null);
}
