//! Links by which anyone reads a conversation.

use repartee_tests::server::{Answer, Client, Engine, Server, Setup};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    ask, begin, conversation, conversation_with, list, on_both_databases, somebody, text, with_root,
};

on_both_databases!(
    anyone_reads_what_was_shared_until_the_link_ends,
    a_reply_that_is_being_written_is_not_shared,
);

async fn share(client: &Client, conversation: &str) -> Value {
    client.post(&format!("{conversation}/share"), &json!({})).await.expect(201)
}

fn path(link: &Value) -> String {
    format!("/api/v1/shared/{}", text(&link["token"]))
}

async fn shown(server: &Server, link: &Value) -> Vec<String> {
    let shared = server.client().get(&format!("{}?limit=100", path(link))).await.expect(200);
    list(&shared["data"]).iter().map(|message| text(&message["content"]).to_owned()).collect()
}

async fn refused(server: &Server, link: &Value) {
    server.client().get(&path(link)).await.problem(404, "shared_link_not_found");
}

async fn anyone_reads_what_was_shared_until_the_link_ends(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let about = json!({"title": "Tea", "system_message": "A secret", "metadata": {"a": "secret"}});
    let conversation = conversation_with(&ada, about).await;
    let turn = ask(&ada, &conversation, "Hello", "mock-2-0").await.expect(200);
    let reply = text(&turn["reply"]["content"]).to_owned();

    let link = share(&ada, &conversation).await;
    assert_eq!(text(&link["token"]).len(), 43);
    assert!(text(&link["url"]).ends_with(&path(&link)), "{link}");
    ask(&ada, &conversation, "Something else", "mock-2-0").await.expect(200);
    ada.patch(&conversation, &json!({"title": "Private"})).await.expect(200);

    let answer = server.client().get(&path(&link)).await;
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-robots-tag", "noindex, nofollow"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(answer.header(name), value);
    }
    let shared = answer.expect(200);
    assert_eq!((&shared["title"], &shared["next_cursor"]), (&json!("Tea"), &json!(null)));
    assert_eq!(shown(&server, &link).await, ["Hello", &reply]);
    let fields: Vec<_> = shared["data"][1].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["content", "created_at", "model", "role"]);
    let whole = shared.to_string();
    for secret in ["secret", "Private", "ada", text(&turn["message"]["conversation_id"])] {
        assert!(!whole.contains(secret), "{whole}");
    }
    let first = server.client().get(&format!("{}?limit=1", path(&link))).await.expect(200);
    let next = format!("{}?limit=1&cursor={}", path(&link), text(&first["next_cursor"]));
    let second = server.client().get(&next).await.expect(200);
    assert_eq!(
        (&second["data"][0]["content"], &second["next_cursor"]),
        (&json!(reply), &json!(null))
    );

    let again = share(&ada, &conversation).await;
    refused(&server, &link).await;
    assert_eq!(shown(&server, &again).await.len(), 4);
    ada.delete(&format!("{conversation}/share")).await.expect(204);
    refused(&server, &again).await;
    let gone = ada.delete(&format!("{conversation}/share")).await;
    gone.problem(404, "shared_link_not_found");

    let last = share(&ada, &conversation).await;
    ada.delete(&conversation).await.expect(204);
    refused(&server, &last).await;
}

async fn a_reply_that_is_being_written_is_not_shared(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let mut events = begin(&ada, &conversation, "mock-50-20").await;
    events.next().await;

    let link = share(&ada, &conversation).await;
    assert_eq!(shown(&server, &link).await, ["Go on"]);
    events.rest().await;

    assert_eq!(shown(&server, &link).await, ["Go on"]);
    assert_eq!(shown(&server, &share(&ada, &conversation).await).await.len(), 2);
}

#[tokio::test]
async fn a_link_made_under_a_key_is_shown_once() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let keyed = async |days: u32| {
        let request = ada.request(Method::POST, &format!("{conversation}/share"));
        let request = request.header("idempotency-key", "a-key");
        Answer::to(request.json(&json!({"expires_in_days": days}))).await
    };
    let link = keyed(1).await.expect(201);
    assert!(link["expires_at"].is_string());
    keyed(1).await.problem(409, "already_done");
    keyed(2).await.problem(422, "idempotency_key_reused");
    assert_eq!(shown(&server, &link).await.len(), 0);
    for days in [json!(0), json!(3_651), json!("x"), json!(-1)] {
        let body = json!({"expires_in_days": days});
        let wrong = ada.post(&format!("{conversation}/share"), &body).await;
        assert_eq!(wrong.problem(422, "invalid_fields")["errors"][0]["field"], "expires_in_days");
    }
    for nothing in ["nothing", "%22", "%00", &"x".repeat(4_000)] {
        let answer = server.client().get(&format!("/api/v1/shared/{nothing}")).await;
        answer.problem(404, "shared_link_not_found");
    }
}

#[tokio::test]
async fn links_are_in_the_audit_log_and_their_readers_are_limited() {
    let setup = Setup::on(Engine::Sqlite).with("REPARTEE__GUESTS__REQUESTS_PER_MINUTE", "3");
    let (server, root) = with_root(setup).await;
    let conversation = conversation(&root).await;
    let link = share(&root, &conversation).await;
    root.delete(&format!("{conversation}/share")).await.expect(204);
    let log = root.get("/api/v1/audit-logs?limit=3").await.expect(200);
    let actions: Vec<_> = list(&log["data"]).iter().map(|entry| text(&entry["action"])).collect();
    assert!(actions.contains(&"conversation_shared"), "{actions:?}");
    assert!(actions.contains(&"conversation_unshared"), "{actions:?}");

    for _ in 0..3 {
        refused(&server, &link).await;
    }
    server.client().get(&path(&link)).await.problem(429, "rate_limited");
}
