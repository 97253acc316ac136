//! A turn that goes well, awaited or streamed.

use repartee_tests::server::{Engine, Setup};
use serde_json::{Value, json};

use crate::support::{
    ask, assert_whole, conversation, generation_of, messages, on_both_databases, somebody, text,
    words, written,
};

on_both_databases!(
    a_turn_is_answered_whole_and_stored,
    a_streamed_reply_is_the_stored_one,
    the_end_says_what_the_reply_took,
);

async fn a_turn_is_answered_whole_and_stored(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;

    let turn = ask(&ada, &conversation, "How many?", "mock-16-1").await.expect(200);

    let (question, reply) = (&turn["message"], &turn["reply"]);
    assert_eq!((&question["role"], &question["content"]), (&json!("user"), &json!("How many?")));
    assert_eq!((&reply["role"], &reply["status"]), (&json!("assistant"), &json!("complete")));
    assert_eq!(reply["content"], words(16));
    assert_eq!(reply["parent_id"], question["id"]);
    assert_eq!(reply["finish_reason"], "stop");
    assert_eq!(turn["usage"]["completion_tokens"], 16);
    assert_eq!(turn["usage"]["estimated"], Value::Null);
    assert_eq!(messages(&ada, &conversation).await, [question.clone(), reply.clone()]);

    let generation = format!("/api/v1/generations/{}", text(&reply["generation_id"]));
    let generation = ada.get(&generation).await.expect(200);
    assert_eq!(generation["state"], "completed");
    assert_eq!(generation["attempts"], 1);
    assert_eq!(generation["message_id"], reply["id"]);
    assert_eq!(generation["user_message_id"], question["id"]);
}

async fn a_streamed_reply_is_the_stored_one(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;

    let body = json!({"content": "Hello", "model": "mock-64-2"});
    let events = ada.stream(&format!("{conversation}/messages"), &body).await.rest().await;

    assert_whole(&events);
    assert_eq!(written(&events), words(64));
    let end = events.last().unwrap();
    assert_eq!(end.name, "done");
    let stored = messages(&ada, &conversation).await;
    assert_eq!(end.json()["message"], stored[1]);
    let start = events[0].json();
    assert_eq!(start["v"], 1);
    assert_eq!(start["model"], "mock-64-2");
    assert_eq!(start["user_message_id"], stored[0]["id"]);
    assert_eq!(start["message_id"], stored[1]["id"]);
    assert!(conversation.ends_with(text(&start["conversation_id"])));
    let generation = ada.get(&generation_of(&events[0])).await.expect(200);
    assert_eq!(generation["state"], "completed");
}

async fn the_end_says_what_the_reply_took(setup: Setup) {
    let price = r#"[{ id = "fast", provider = "llm_service", upstream_model = "mock-20-0", input_price = 1.0, output_price = 10.0 }]"#;
    let server = setup.with("REPARTEE__MODELS", price).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;

    let turn = ada.post(&format!("{conversation}/messages"), &json!({"content": "x"})).await;
    let turn = turn.expect(200);

    let (reply, usage) = (&turn["reply"], &turn["usage"]);
    assert_eq!(reply["model"], "fast");
    assert_eq!(usage["completion_tokens"], 20);
    let prompt = usage["prompt_tokens"].as_i64().unwrap();
    assert_eq!(usage["total_tokens"], prompt + 20);
    assert_eq!(reply["tokens_used"], usage["total_tokens"]);
    assert_eq!(reply["cost_micros"], prompt + 200);
    assert_eq!(reply["is_usage_estimated"], false);
    assert!(reply["first_token_ms"].as_i64() <= reply["latency_ms"].as_i64(), "{reply}");

    let unknown = ask(&ada, &conversation, "x", "mock-20-0").await;
    let problem = unknown.problem(422, "model_unknown");
    assert_eq!(problem["errors"][0]["field"], "model");
}

#[tokio::test]
async fn whatever_a_model_does_short_of_failing_is_a_reply() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let accented = words(16).replace("~ ", "~ż🦀 ");
    for (model, content, finish_reason, estimated) in [
        ("mock-utf8", &*accented, "stop", false),
        ("mock-garbage", &words(16), "stop", false),
        ("mock-nodone", &words(16), "stop", false),
        ("mock-nousage", &words(16), "stop", true),
        ("mock-length", &words(16), "length", false),
        ("mock-empty", "", "stop", false),
    ] {
        let conversation = conversation(&ada).await;
        let body = json!({"content": "Go on", "model": model});
        let events = ada.stream(&format!("{conversation}/messages"), &body).await.rest().await;
        assert_whole(&events);
        let end = events.last().unwrap().json();
        assert_eq!(end["message"]["content"], content, "{model}");
        assert_eq!(end["finish_reason"], finish_reason, "{model}");
        assert_eq!(end["message"]["is_usage_estimated"], estimated, "{model}");
        assert!(!written(&events).contains('\u{fffd}'), "{model}");
    }
}

#[tokio::test]
async fn a_fast_model_is_merged_into_fewer_events() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let body = json!({"content": "Quick", "model": "mock-2000-0"});
    let events = ada.stream(&format!("{conversation}/messages"), &body).await.rest().await;
    assert_whole(&events);
    assert_eq!(written(&events), words(2000));
    assert!(events.len() < 500, "{} events", events.len());
    assert!(events.iter().all(|event| event.is_terminal() || event.data.len() <= 64 * 1024));
}
