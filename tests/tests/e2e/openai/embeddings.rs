//! `POST /v1/embeddings`.

use repartee_tests::server::{Engine, Setup};
use serde_json::{Value, json};

use super::program;
use crate::support::{somebody, text};

const EMBEDDINGS: &str = "/v1/embeddings";

#[tokio::test]
async fn vectors_are_passed_through_and_counted() {
    let setup = Setup::on(Engine::Sqlite).with("REPARTEE__LIMITS__MONTHLY_TOKEN_BUDGET", "60");
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let program = program(&server, &ada, json!({})).await;
    let body = json!({"model": "mock-1-0:small", "input": ["green tea", "tea"], "dimensions": 2,
        "encoding_format": "float", "odd": 1});

    let answer = program.post(EMBEDDINGS, &body).await.expect(200);

    assert_eq!(answer["object"], "list");
    assert_eq!(answer["model"], "mock-1-0:small");
    assert_eq!(answer["data"][0]["embedding"], json!([2.0, 0.5]));
    assert_eq!(answer["data"][1]["index"], 1);
    assert_eq!(answer["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
    let asked = &server.upstream().requests_for("mock-1-0:small")[0];
    assert_eq!((asked.param("dimensions"), asked.param("odd")), (&json!(2), &Value::Null));

    // 57 are left, and this may take 60.
    let body = json!({"model": "mock-1-0", "input": "x".repeat(58)});
    let refused = program.post(EMBEDDINGS, &body).await.expect(429);
    assert_eq!(refused["error"]["code"], "insufficient_quota");
}

#[tokio::test]
async fn a_field_that_is_wrong_is_told_as_openai_would() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    for (input, field) in [
        (json!({"model": "mock-1-0"}), "input"),
        (json!({"model": "mock-1-0", "input": null}), "input"),
        (json!({"model": "mock-1-0", "input": []}), "input"),
        (json!({"model": "mock-1-0", "input": ["a", ""]}), "input"),
        (json!({"model": "mock-1-0", "input": {"text": "tea"}}), "input"),
        (json!({"model": "mock-1-0", "input": [1, -1]}), "input"),
        (json!({"model": "mock-1-0", "input": "tea", "dimensions": 0}), "dimensions"),
        (json!({"model": "mock-1-0", "input": "tea", "encoding_format": 1}), "encoding_format"),
        (json!({"input": "tea"}), "model"),
    ] {
        let refused = ada.post(EMBEDDINGS, &input).await.expect(400);
        assert_eq!(refused["error"]["param"], field, "{input}");
        assert_eq!(refused["error"]["type"], "invalid_request_error");
    }
    let unknown = json!({"model": "gpt-none", "input": "tea"});
    let refused = ada.post(EMBEDDINGS, &unknown).await.expect(404);
    assert_eq!(text(&refused["error"]["code"]), "model_not_found");
    let broken = json!({"model": "mock-500", "input": "tea"});
    let refused = ada.post(EMBEDDINGS, &broken).await.expect(502);
    assert_eq!(text(&refused["error"]["code"]), "model_failed");
}
