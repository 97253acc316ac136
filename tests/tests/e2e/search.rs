//! Finding what was said.

use repartee_tests::server::{Client, Setup};
use serde_json::{Value, json};

use crate::support::{
    WITHIN_A_SECOND, ask, conversation_with, eventually, id_of, list, on_both_databases, somebody,
    text,
};

on_both_databases!(
    who_says_something_finds_it_and_nobody_else_does,
    hits_come_page_by_page,
    a_key_that_may_read_may_search,
);

async fn search(client: &Client, query: &str) -> Vec<Value> {
    let answer = client.get(&format!("/api/v1/search?{query}")).await.expect(200);
    list(&answer["data"]).to_vec()
}

async fn until_found(client: &Client, query: &str, count: usize) {
    let is_so = async || search(client, query).await.len() == count;
    eventually(&format!("{count} are found by {query}"), WITHIN_A_SECOND, is_so).await;
}

async fn say(client: &Client, conversation: &str, content: &str) {
    let body = json!({"content": content, "reply": false});
    client.post(&format!("{conversation}/messages"), &body).await.expect(201);
}

async fn who_says_something_finds_it_and_nobody_else_does(setup: Setup) {
    let server = setup.start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let chat = conversation_with(&ada, json!({"title": "Tea & <cake>"})).await;
    ask(&ada, &chat, "ฉันอยากดื่มชาเขียว, Änne", "mock-2-0").await.expect(200);
    // Both the question and the reply, which says tok~0~ tok~1~.
    until_found(&ada, "q=%E0%B8%8A%E0%B8%B2%20anne", 1).await;
    until_found(&ada, "q=tok", 1).await;

    let found = search(&ada, "q=tok").await.swap_remove(0);
    assert_eq!((&found["type"], &found["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!(
        (text(&found["conversation_id"]), &found["conversation_title"]),
        (id_of(&chat), &json!("Tea & <cake>"))
    );
    assert_eq!(found["snippet"][0], json!({"text": "tok", "match": true}));
    let title = search(&ada, "q=cak").await.swap_remove(0);
    assert_eq!(title["type"], "conversation");
    assert_eq!(title["snippet"][1], json!({"text": "cake", "match": true}));
    assert!(title.get("message_id").is_none() && title.get("role").is_none());

    let mine = conversation_with(&grace, json!({"title": "Tea"})).await;
    until_found(&grace, "q=tea", 1).await;
    for query in ["tok", "cake", "anne", "%E0%B8%8A%E0%B8%B2"] {
        assert_eq!(search(&grace, &format!("q={query}")).await, [json!(null); 0]);
    }
    let theirs = format!("/api/v1/search?q=tea&conversation_id={}", id_of(&chat));
    grace.get(&theirs).await.problem(404, "conversation_not_found");
    let own = format!("q=tea&conversation_id={}", id_of(&mine));
    assert_eq!(search(&grace, &own).await.len(), 1);

    ada.patch(&chat, &json!({"status": "archived", "title": "Coffee"})).await.expect(200);
    until_found(&ada, "q=coffee", 1).await;
    assert_eq!(search(&ada, "q=cake").await.len(), 0);
    assert_eq!(search(&ada, "q=tok").await.len(), 1);
    ada.delete(&chat).await.expect(204);
    assert_eq!(search(&ada, "q=tok").await.len() + search(&ada, "q=coffee").await.len(), 0);
}

async fn hits_come_page_by_page(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let chat = conversation_with(&ada, json!({})).await;
    for number in 0..5 {
        say(&ada, &chat, &format!("number {number}")).await;
    }
    until_found(&ada, "q=number", 5).await;

    let mut shown = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = ada.get(&format!("/api/v1/search?q=number&limit=2{cursor}")).await.expect(200);
        let found = list(&page["data"]).iter();
        shown.extend(found.map(|hit| text(&hit["snippet"][1]["text"]).trim().to_owned()));
        match &page["next_cursor"] {
            Value::Null => break,
            next => cursor = format!("&cursor={}", text(next)),
        }
    }
    assert_eq!(shown, ["4", "3", "2", "1", "0"]);
}

async fn a_key_that_may_read_may_search(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    for (scopes, status) in [(json!(["read"]), 200), (json!(["files"]), 403)] {
        let body = json!({"name": "a script", "scopes": scopes});
        let key = ada.post("/api/v1/api-keys", &body).await.expect(201);
        let script = server.client().with_token(text(&key["secret"]));
        assert_eq!(script.get("/api/v1/search?q=tea").await.status, status);
    }
    server.client().get("/api/v1/search?q=tea").await.problem(401, "unauthenticated");
}
