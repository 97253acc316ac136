//! The OpenAPI document as the list of what there is.

use repartee_tests::server::{Client, Engine, Setup};
use reqwest::Method;
use serde_json::Value;

use crate::support::{list, text};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

#[derive(Debug)]
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) wants_a_token: bool,
    pub(super) described: Value,
}

/// Every operation of the document.
pub(super) async fn operations(client: &Client) -> Vec<Operation> {
    let document = client.get("/openapi.json").await.expect(200);
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for name in METHODS {
            let Some(described) = item.get(name) else { continue };
            let security = described.get("security").unwrap_or(&document["security"]);
            // One empty alternative, and no token is wanted.
            let is_open = |one: &Value| one.as_object().is_some_and(serde_json::Map::is_empty);
            let alternatives = list(security);
            operations.push(Operation {
                method: name.to_uppercase().parse().unwrap(),
                path: path.clone(),
                wants_a_token: !alternatives.is_empty() && !alternatives.iter().any(is_open),
                described: described.clone(),
            });
        }
    }
    assert!(operations.len() > 30, "{} operations", operations.len());
    operations
}

#[tokio::test]
async fn every_operation_is_described() {
    let server = Setup::on(Engine::Sqlite).start().await;
    for operation in operations(&server.client()).await {
        let Operation { method, path, described, .. } = &operation;
        assert!(!list(&described["tags"]).is_empty(), "{method} {path} has no tag");
        assert!(!text(&described["summary"]).is_empty(), "{method} {path} has no summary");
        let responses = described["responses"].as_object().unwrap();
        for (status, response) in responses {
            let has_body = !matches!(&**status, "101" | "204" | "304");
            assert_eq!(response.get("content").is_some(), has_body, "{method} {path} {status}");
            // OAuth has errors of its own (RFC 6749, 5.2), and so has OpenAI's surface.
            let has_problems = !path.contains("health")
                && !path.starts_with("/oauth/")
                && !path.starts_with("/v1/");
            if status.starts_with(['4', '5']) && has_problems {
                let problem = &response["content"]["application/problem+json"];
                assert!(problem.is_object(), "{method} {path} {status}");
            }
        }
        let is_good = |status: &String| status.starts_with('2') || status == "101";
        assert!(responses.keys().any(is_good), "{method} {path}");
        let may_be_refused = responses.contains_key("401");
        assert!(may_be_refused || !operation.wants_a_token, "{method} {path} has no 401");
    }
}
