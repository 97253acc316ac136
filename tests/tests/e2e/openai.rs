//! What programs written against the OpenAI SDKs find under `/v1`. The SDKs themselves are tried by
//! `scripts/test-sdks`.

mod completions;
mod embeddings;
mod errors;
mod models;
mod streams;

use repartee_tests::server::{Answer, Client, Server};
use serde_json::{Value, json};

use crate::support::text;

const COMPLETIONS: &str = "/v1/chat/completions";

/// A question for a model, with further fields.
fn question(model: &str, fields: &Value) -> Value {
    let mut body =
        json!({"model": model, "messages": [{"role": "user", "content": "Why is that?"}]});
    for (name, value) in fields.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

async fn complete(client: &Client, model: &str, fields: Value) -> Answer {
    client.post(COMPLETIONS, &question(model, &fields)).await
}

/// A program of theirs, with a key.
async fn program(server: &Server, owner: &Client, mut key: Value) -> Client {
    key["name"] = json!("a program");
    let made = owner.post("/api/v1/api-keys", &key).await.expect(201);
    server.client().with_token(text(&made["secret"]))
}
