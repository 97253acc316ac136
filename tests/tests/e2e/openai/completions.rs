//! `POST /v1/chat/completions`, whole.

use futures::future::join_all;
use repartee_tests::server::{Engine, Setup};
use serde_json::{Value, json};

use super::{complete, program, question};
use crate::support::{WITHIN_A_SECOND, eventually, on_both_databases, somebody, text, words};

on_both_databases!(
    a_completion_is_answered_and_nothing_of_it_is_stored,
    a_budget_is_never_overspent_and_then_a_permanent_refusal,
    as_many_run_at_once_as_may,
);

async fn a_completion_is_answered_and_nothing_of_it_is_stored(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let program = program(&server, &ada, json!({})).await;

    let answer = complete(&program, "mock-4-0", json!({"temperature": 0.5, "seed": 7})).await;

    let answer = answer.expect(200);
    assert!(text(&answer["id"]).starts_with("chatcmpl-"), "{answer}");
    assert_eq!((text(&answer["object"]), text(&answer["model"])), ("chat.completion", "mock-4-0"));
    let choice = &answer["choices"][0];
    assert_eq!(
        (&choice["message"]["role"], &choice["finish_reason"]),
        (&json!("assistant"), &json!("stop"))
    );
    assert_eq!(choice["message"]["content"], words(4));
    let usage = &answer["usage"];
    assert_eq!(usage["completion_tokens"], 4);
    assert_eq!(usage["total_tokens"], usage["prompt_tokens"].as_u64().unwrap() + 4);
    let asked = &server.upstream().requests_for("mock-4-0")[0];
    assert_eq!((asked.param("seed"), asked.param("temperature")), (&json!(7), &json!(0.5)));
    assert_eq!(ada.get("/api/v1/conversations").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn tools_pictures_and_formats_reach_the_provider_as_they_came() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let tools = json!([{"type": "function", "function": {"name": "weather", "parameters": {}}}]);
    let format = json!({"type": "json_object"});
    let messages = json!([
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "text", "text": "Where is this?"},
            {"type": "image_url", "image_url": {"url": "https://example.com/oslo.png"}},
        ]},
    ]);
    let fields = json!({"tools": tools, "tool_choice": "auto", "response_format": format,
        "stop": ["x"], "user": "u1", "messages": messages, "max_completion_tokens": 50, "odd": 1});

    let answer = complete(&ada, "mock-tools", fields.clone()).await.expect(200);

    let asked = server.upstream().requests_for("mock-tools").remove(0);
    for name in ["tools", "tool_choice", "response_format", "stop", "user", "messages"] {
        assert_eq!(asked.param(name), &fields[name], "{name}");
    }
    assert_eq!((asked.param("max_tokens"), asked.param("odd")), (&json!(50), &Value::Null));
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let call = json!({"id": "call_scripted", "type": "function",
        "function": {"name": "weather", "arguments": "{\"city\": \"Oslo\"}"}});
    assert_eq!(choice["message"]["tool_calls"], json!([call]));

    let mut messages = messages;
    let said = messages.as_array_mut().unwrap();
    said.push(choice["message"].clone());
    said.push(json!({"role": "tool", "tool_call_id": "call_scripted", "content": "It snows."}));
    let answer = complete(&ada, "mock-tools", json!({"messages": messages, "tools": tools})).await;
    assert_eq!(answer.expect(200)["choices"][0]["message"]["content"], "It snows.");
}

async fn a_budget_is_never_overspent_and_then_a_permanent_refusal(setup: Setup) {
    let server = setup.with("REPARTEE__LIMITS__MONTHLY_TOKEN_BUDGET", "400").start().await;
    let ada = somebody(&server, "ada").await;
    let short = json!({"max_tokens": 20});

    let answers = join_all((0..20).map(|_| complete(&ada, "mock-20-0", short.clone()))).await;

    let mut used: u64 = 0;
    for answer in answers.iter().filter(|answer| answer.status == 200) {
        used += answer.json()["usage"]["total_tokens"].as_u64().unwrap();
    }
    assert!(used > 0 && used <= 400, "{used}");
    let refused = answers.iter().find(|answer| answer.status != 200).expect("one is refused");
    refused.openai_error(429, "insufficient_quota", "insufficient_quota");
    assert_eq!(refused.header("x-should-retry"), "false");
    assert!(refused.header("retry-after").parse::<u64>().is_ok());
    // What was not used is there again: one after the other until nothing is left.
    while complete(&ada, "mock-20-0", short.clone()).await.status == 200 {}
}

async fn as_many_run_at_once_as_may(setup: Setup) {
    let server = setup.with("REPARTEE__LIMITS__CONCURRENT_GENERATIONS", "1").start().await;
    let ada = somebody(&server, "ada").await;
    let request = ada.request(reqwest::Method::POST, super::COMPLETIONS);
    let running = request.json(&question("mock-hangmid", &json!({"stream": true})));
    let running = running.send().await.unwrap();
    assert_eq!(running.status(), 200);

    let refused = complete(&ada, "mock-1-0", json!({})).await;
    refused.openai_error(429, "rate_limit_error", "too_many_generations");
    assert_eq!(refused.header("x-should-retry"), "");
    assert!(!refused.header("retry-after").is_empty());

    drop(running);
    assert!(server.upstream().reaches(|stats| stats.aborted == 1).await);
    eventually("it is settled", WITHIN_A_SECOND, async || {
        complete(&ada, "mock-1-0", json!({})).await.status == 200
    })
    .await;
}
