//! Every route refuses strangers; the list of routes is the OpenAPI document.

use repartee_tests::server::{Answer, Client, Engine, Server, Setup};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::operations::{Operation, operations};
use crate::support::{
    PASSWORD, address, ask, conversation, messages, on_both_databases, somebody, text,
};

/// What answers without a token. A new route without one has to be added here.
const OPEN: [&str; 34] = [
    "GET /",
    "GET /.well-known/jwks.json",
    "GET /.well-known/oauth-authorization-server",
    "GET /api/chat/stream",
    "GET /api/health",
    "GET /api/personas",
    "GET /api/personas/{persona_id}",
    "GET /api/v1/health",
    "GET /api/v1/personas",
    "GET /api/v1/personas/{persona_id}",
    "GET /api/v1/shared/{token}",
    "GET /assets/{file}",
    "GET /docs",
    "GET /docs/{file}",
    "GET /favicon.ico",
    "GET /health",
    "GET /health/live",
    "GET /health/ready",
    "GET /openapi.json",
    "GET /redoc",
    "GET /redoc/{file}",
    "GET /ws/chat",
    "POST /api/chat",
    "POST /api/v1/auth/email/verify",
    "POST /api/v1/auth/login",
    "POST /api/v1/auth/password/forgot",
    "POST /api/v1/auth/password/reset",
    "POST /api/v1/auth/refresh",
    "POST /api/v1/auth/register",
    "POST /oauth/introspect",
    "POST /oauth/revoke",
    "POST /oauth/token",
    "POST /users/login",
    "POST /users/register",
];

const NOBODYS: &str = "01939c2e-7b9a-7000-8000-000000000000";

on_both_databases!(what_belongs_to_somebody_else_is_not_there);

/// Ada's conversation with one turn, and its ids for paths.
struct Things {
    ada: Client,
    conversation: String,
    generation: String,
}

impl Things {
    async fn of_ada(server: &Server) -> Self {
        let ada = somebody(server, "ada").await;
        let conversation = conversation(&ada).await;
        let turn = ask(&ada, &conversation, "Hello", "mock-2-0").await.expect(200);
        let generation = text(&turn["reply"]["generation_id"]).to_owned();
        Self { ada, conversation, generation }
    }

    fn path(&self, operation: &Operation) -> String {
        let conversation = self.conversation.rsplit_once('/').unwrap().1;
        filled(operation, conversation, &self.generation)
    }
}

fn filled(operation: &Operation, conversation: &str, generation: &str) -> String {
    operation
        .path
        .replace("{conversation_id}", conversation)
        .replace("{generation_id}", generation)
        .replace("{message_id}", NOBODYS)
        .replace("{file}", "nothing")
}

fn request(client: &Client, operation: &Operation, path: &str) -> RequestBuilder {
    let query = if operation.path.contains("/stream/") { "?message=Hello" } else { "" };
    let request = client.request(operation.method.clone(), &format!("{path}{query}"));
    match operation.method {
        Method::GET | Method::DELETE => request,
        _ => request.json(&json!({"content": "Hello", "title": "Mine"})),
    }
}

#[track_caller]
fn refused(answer: &Answer, path: &str) {
    if path.starts_with("/v1/") {
        answer.openai_error(401, "authentication_error", "invalid_api_key");
    } else {
        answer.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn without_a_token_there_is_nothing_but_what_is_open() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let things = Things::of_ada(&server).await;
    let stranger = server.client();
    let mut open = Vec::new();
    for operation in operations(&stranger).await {
        let Operation { method, path, wants_a_token, .. } = &operation;
        if !wants_a_token {
            open.push(format!("{method} {path}"));
            continue;
        }
        let path = things.path(&operation);
        let nonsense = (stranger.with_token("nonsense"), "Bearer error=\"invalid_token\"");
        for (client, challenge) in [(stranger.clone(), "Bearer"), nonsense] {
            let answer = Answer::to(request(&client, &operation, &path)).await;
            refused(&answer, &path);
            assert_eq!(answer.header("www-authenticate"), challenge, "{method} {path}");
        }
        let malformed = request(&stranger, &operation, &path).body("{");
        refused(&Answer::to(malformed).await, &path);
    }
    open.sort();
    assert_eq!(open, OPEN);
}

async fn what_belongs_to_somebody_else_is_not_there(setup: Setup) {
    let server = setup
        .with("REPARTEE__BOOTSTRAP__ADMIN_EMAIL", &address("root"))
        .with("REPARTEE__BOOTSTRAP__ADMIN_PASSWORD", PASSWORD)
        .start()
        .await;
    let things = Things::of_ada(&server).await;
    let grace = somebody(&server, "grace").await;
    let root = crate::support::log_in(&server, "root").await;
    let root = server.client().with_token(text(&root["access_token"]));
    let mut tried = 0;
    for operation in operations(&server.client()).await {
        let code = match &*operation.path {
            // There a user is told that the path is not theirs.
            path if path.starts_with("/api/v1/users/") => continue,
            path if path.contains("{conversation_id}") => "conversation_not_found",
            path if path.contains("{generation_id}") => "generation_not_found",
            _ => continue,
        };
        let nobodys = filled(&operation, NOBODYS, NOBODYS);
        for stranger in [&grace, &root] {
            let mut told = Vec::new();
            for path in [&things.path(&operation), &nobodys] {
                let answer = Answer::to(request(stranger, &operation, path)).await;
                let mut problem = answer.problem(404, code);
                problem["request_id"] = Value::Null;
                told.push(problem);
            }
            assert_eq!(told[0], told[1], "an id cannot be probed");
            tried += 1;
        }
    }
    assert!(tried >= 20, "{tried}");
    let kept = things.ada.get(&things.conversation).await.expect(200);
    assert_eq!(kept["title"], Value::Null);
    assert_eq!(messages(&things.ada, &things.conversation).await.len(), 2);
    let listed = grace.get("/api/v1/conversations").await.expect(200);
    assert_eq!(listed["data"], json!([]));
}
