//! Lists, page by page.

use repartee_tests::server::{Client, Setup};
use serde_json::{Value, json};

use crate::support::{conversation_with, list, messages, on_both_databases, somebody, text};

on_both_databases!(
    conversations_come_newest_first_and_stay_in_place,
    messages_come_oldest_first_and_new_ones_last,
    conversations_are_found_by_status_and_title,
    a_page_that_cannot_be_is_refused,
);

/// All pages of a list, doing something between each two.
async fn pages(client: &Client, path: &str, between: impl AsyncFn()) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("{path}{cursor}")).await.expect(200);
        let data = list(&page["data"]);
        assert!(data.len() <= 3 && !data.is_empty(), "{page}");
        rows.extend_from_slice(data);
        match &page["next_cursor"] {
            Value::Null => return rows,
            next => cursor = format!("&cursor={}", text(next)),
        }
        between().await;
    }
}

fn field(rows: &[Value], name: &str) -> Vec<String> {
    rows.iter().map(|row| text(&row[name]).to_owned()).collect()
}

async fn conversations_come_newest_first_and_stay_in_place(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let mut paths = Vec::new();
    for number in 0..8 {
        paths.push(conversation_with(&ada, json!({"title": format!("number {number}")})).await);
    }
    // Activity brings one to the front.
    let message = json!({"content": "x", "reply": false});
    ada.post(&format!("{}/messages", paths[2]), &message).await.expect(201);

    let rows = pages(&ada, "/api/v1/conversations?limit=3", async || {
        conversation_with(&ada, json!({"title": "in between"})).await;
    })
    .await;

    let expected = [2, 7, 6, 5, 4, 3, 1, 0].map(|number| format!("number {number}"));
    assert_eq!(field(&rows, "title"), expected);
    let all = ada.get("/api/v1/conversations").await.expect(200);
    assert_eq!((list(&all["data"]).len(), &all["next_cursor"]), (10, &Value::Null));
}

async fn messages_come_oldest_first_and_new_ones_last(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let path = format!("{}/messages", conversation_with(&ada, json!({})).await);
    let say = async |content: &str| {
        ada.post(&path, &json!({"content": content, "reply": false})).await.expect(201);
    };
    for number in 0..7 {
        say(&number.to_string()).await;
    }
    let newest_first =
        pages(&ada, &format!("{path}?order=desc&limit=3"), async || say("later").await).await;
    assert_eq!(field(&newest_first, "content"), ["6", "5", "4", "3", "2", "1", "0"]);

    let count = std::cell::Cell::new(0);
    let oldest_first = pages(&ada, &format!("{path}?limit=3"), async || {
        if count.replace(1) == 0 {
            say("last").await;
        }
    })
    .await;
    let expected = ["0", "1", "2", "3", "4", "5", "6", "later", "later", "last"];
    assert_eq!(field(&oldest_first, "content"), expected);
    assert_eq!(messages(&ada, path.trim_end_matches("/messages")).await, oldest_first);
}

async fn conversations_are_found_by_status_and_title(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    for (title, status) in [
        ("Green tea", "active"),
        ("black TEA", "archived"),
        ("100% coffee_bean", "ended"),
        ("ÉCLAIR ชา", "active"),
    ] {
        let path = conversation_with(&ada, json!({"title": title})).await;
        ada.patch(&path, &json!({"status": status})).await.expect(200);
    }
    for (query, mut expected) in [
        ("status=active", vec!["Green tea", "ÉCLAIR ชา"]),
        ("status=archived,ended", vec!["black TEA", "100% coffee_bean"]),
        ("q=tea", vec!["Green tea", "black TEA"]),
        ("q=TEA&status=active", vec!["Green tea"]),
        ("q=%25", vec!["100% coffee_bean"]),
        ("q=_", vec!["100% coffee_bean"]),
        ("q=%E0%B8%8A%E0%B8%B2", vec!["ÉCLAIR ชา"]),
        ("q=%27%22%5C", vec![]),
    ] {
        let found = ada.get(&format!("/api/v1/conversations?{query}")).await.expect(200);
        let mut found = field(list(&found["data"]), "title");
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{query}");
    }
    let wrong = ada.get("/api/v1/conversations?status=asleep").await;
    assert_eq!(wrong.problem(422, "invalid_fields")["errors"][0]["field"], "status");
}

async fn a_page_that_cannot_be_is_refused(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let messages = format!("{}/messages", conversation_with(&ada, json!({})).await);
    for path in ["/api/v1/conversations", &*messages] {
        for (field, query) in [
            ("limit", "limit=0"),
            ("limit", "limit=101"),
            ("limit", "limit=-1"),
            ("limit", "limit=many"),
            ("limit", "limit=99999999999999999999"),
            ("cursor", "cursor=nonsense"),
            ("cursor", "cursor=!"),
            ("cursor", "cursor="),
        ] {
            let problem = ada.get(&format!("{path}?{query}")).await.problem(422, "invalid_fields");
            assert_eq!(problem["errors"][0]["field"], field, "{path}?{query}");
        }
        ada.get(&format!("{path}?limit=100&unknown=1")).await.expect(200);
    }
    let problem = ada.get(&format!("{messages}?order=random")).await.problem(422, "invalid_fields");
    assert_eq!(problem["errors"][0]["field"], "order");
}
