//! `GET /v1/models`, and what the native surface says of them.

use repartee_tests::server::{Engine, Setup};
use serde_json::json;

use super::program;
use crate::support::{list, somebody, text};

#[tokio::test]
async fn models_are_told_in_openais_shape_and_in_our_own() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let reader = program(&server, &ada, json!({"scopes": ["read"]})).await;

    let models = reader.get("/v1/models").await.expect(200);

    assert_eq!(models["object"], "list");
    let [model] = list(&models["data"]) else { panic!("{models}") };
    assert_eq!((text(&model["id"]), text(&model["object"])), ("mock-echo", "model"));
    assert!(model["created"].as_i64().is_some_and(|created| created > 1_700_000_000));
    assert_eq!(reader.get("/v1/models/mock-echo").await.expect(200), *model);
    let native = ada.get("/api/v1/models").await.expect(200);
    assert_eq!(
        (&native["data"][0]["id"], &native["next_cursor"]),
        (&json!("mock-echo"), &json!(null))
    );
    assert_eq!(native["data"][0]["is_default"], true);
    assert!(native["data"][0]["context_tokens"].as_u64().is_some_and(|tokens| tokens > 0));
}

#[tokio::test]
async fn a_key_sees_its_models_alone_and_slashes_are_part_of_a_name() {
    let server = Setup::on(Engine::Sqlite).with("OPENAI_MODEL", "some/mock-echo").start().await;
    let ada = somebody(&server, "ada").await;
    ada.get("/v1/models/some/mock-echo").await.expect(200);
    ada.get("/v1/models/some%2Fmock-echo").await.expect(200);
    ada.get("/v1/models/none").await.openai_error(404, "not_found_error", "model_not_found");

    let other = program(&server, &ada, json!({"models": ["mock-1-0"]})).await;
    assert_eq!(other.get("/v1/models").await.expect(200)["data"], json!([]));
    let hidden = other.get("/v1/models/some/mock-echo").await;
    hidden.openai_error(404, "not_found_error", "model_not_found");
    let files = program(&server, &ada, json!({"scopes": ["files"]})).await;
    let refused = files.get("/v1/models").await;
    refused.openai_error(403, "permission_error", "insufficient_scope");
}
