//! Errors under `/v1` have OpenAI's shape, whoever finds them.

use repartee_tests::server::{Answer, Engine, Setup};
use reqwest::Method;
use serde_json::json;

use super::{COMPLETIONS, complete, program};
use crate::support::somebody;

const INVALID: &str = "invalid_request_error";

#[tokio::test]
async fn every_refusal_is_put_as_openai_puts_it() {
    let server =
        Setup::on(Engine::Sqlite).with("REPARTEE__HTTP__BODY_LIMIT_BYTES", "1024").start().await;
    let ada = somebody(&server, "ada").await;
    let stranger = complete(&server.client(), "mock-1-0", json!({})).await;
    stranger.openai_error(401, "authentication_error", "invalid_api_key");
    let nonsense = server.client().with_token("rpt_nonsense").get("/v1/models").await;
    nonsense.openai_error(401, "authentication_error", "invalid_api_key");

    ada.get("/v1/nothing").await.openai_error(404, "not_found_error", "route_not_found");
    ada.get("/%76%31/nothing").await.openai_error(404, "not_found_error", "route_not_found");
    let method = ada.get(COMPLETIONS).await;
    method.openai_error(405, INVALID, "method_not_allowed");
    assert_eq!(method.header("allow"), "POST, OPTIONS");
    let post = |body: &'static str, kind: &'static str| {
        let request = ada.request(Method::POST, COMPLETIONS);
        Answer::to(request.header("content-type", kind).body(body))
    };
    let json = "application/json";
    post("{", json).await.openai_error(400, INVALID, "malformed_json");
    post("{}", "text/plain").await.openai_error(415, INVALID, "unsupported_media_type");
    let missing = post("{\"messages\": []}", json).await.openai_error(400, INVALID, "required");
    assert_eq!(missing["param"], "model");
    let large = complete(&ada, "mock-1-0", json!({"user": "x".repeat(2_000)})).await;
    large.openai_error(413, INVALID, "body_too_large");

    for (field, value) in [("n", json!(2)), ("store", json!(true)), ("logprobs", json!(true))] {
        let refused = complete(&ada, "mock-1-0", json!({field: value})).await;
        let error = refused.openai_error(400, INVALID, "unsupported_parameter");
        assert_eq!(error["param"], field);
        assert_eq!(refused.header("x-should-retry"), "false");
    }
    let hot = complete(&ada, "mock-1-0", json!({"temperature": 3})).await;
    assert_eq!(hot.openai_error(400, INVALID, "out_of_range")["param"], "temperature");
    let unknown = complete(&ada, "gpt-none", json!({})).await;
    let error = unknown.openai_error(404, "not_found_error", "model_not_found");
    assert_eq!(error["param"], "model");
    assert_eq!(ada.get("/api/v1/nothing").await.problem(404, "route_not_found")["status"], 404);
}

#[tokio::test]
async fn a_key_asks_its_models_within_its_scopes() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let chat = program(&server, &ada, json!({"models": ["mock-1-0"]})).await;
    complete(&chat, "mock-1-0", json!({})).await.expect(200);
    let other = complete(&chat, "mock-2-0", json!({})).await;
    other.openai_error(403, "permission_error", "model_not_allowed");
    let reader = program(&server, &ada, json!({"scopes": ["read"]})).await;
    let refused = complete(&reader, "mock-1-0", json!({})).await;
    refused.openai_error(403, "permission_error", "insufficient_scope");
}

#[tokio::test]
async fn limits_are_told_with_their_headers() {
    let server =
        Setup::on(Engine::Sqlite).with("REPARTEE__LIMITS__REQUESTS_PER_MINUTE", "2").start().await;
    let ada = somebody(&server, "ada").await;
    let first = complete(&ada, "mock-1-0", json!({})).await;
    first.expect(200);
    assert_eq!(first.header("x-ratelimit-remaining"), "1");
    complete(&ada, "mock-1-0", json!({})).await.expect(200);

    let refused = complete(&ada, "mock-1-0", json!({})).await;

    refused.openai_error(429, "rate_limit_error", "rate_limit_exceeded");
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(refused.header("x-should-retry"), "");
}

#[tokio::test]
async fn what_a_provider_refuses_for_a_while_is_tried_again() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    for model in ["mock-503-times-2", "mock-429-then-ok"] {
        complete(&ada, model, json!({})).await.expect(200);
    }
    let refused = complete(&ada, "mock-400", json!({})).await;
    refused.openai_error(502, "server_error", "model_rejected");
    assert_eq!(refused.header("x-should-retry"), "false");
}
