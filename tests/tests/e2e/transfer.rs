//! Conversations as files, both ways.

use repartee_tests::server::{Answer, Client, Engine, Setup};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    ask, conversation_with, id_of, list, messages, on_both_databases, somebody, text,
};

const IMPORT: &str = "/api/v1/conversations/import";
const CHATGPT: &str = include_str!("transfer/conversations.json");

on_both_databases!(
    what_is_exported_is_imported_as_it_was,
    conversations_of_chatgpt_are_brought_over,
    a_file_that_is_sent_again_is_stored_once,
    imported_conversations_go_on,
);

fn path(id: &Value) -> String {
    format!("/api/v1/conversations/{}", text(id))
}

async fn export(client: &Client, conversation: &str) -> Value {
    client.get(&format!("{conversation}/export")).await.expect(200)
}

async fn import(client: &Client, file: &str, key: Option<&str>) -> Answer {
    let request = client.request(Method::POST, IMPORT).header("content-type", "application/json");
    let request = match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    };
    Answer::to(request.body(file.to_owned())).await
}

/// An export without its ids, but with who follows whom.
fn without_ids(mut export: Value) -> Value {
    export["conversation"]["id"] = json!(null);
    let ids: Vec<_> = list(&export["messages"]).iter().map(|one| one["id"].clone()).collect();
    for message in export["messages"].as_array_mut().unwrap() {
        message["id"] = json!(null);
        let place = ids.iter().position(|id| *id == message["parent_id"]);
        message["parent_id"] = json!(place);
    }
    export
}

async fn what_is_exported_is_imported_as_it_was(setup: Setup) {
    let server = setup.start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let about = json!({
        "title": "Grüner Tee: 🍵", "system_message": "Be kind.", "model": "mock-echo",
        "metadata": {"a": [1, "ü"]}, "persona_id": 4,
    });
    let conversation = conversation_with(&ada, about).await;
    for n in 0..20 {
        ask(&ada, &conversation, &format!("Question {n} 茶"), "mock-echo").await.expect(200);
    }
    let reply = messages(&ada, &conversation).await.swap_remove(3);
    let again = format!("{conversation}/messages/{}/regenerate", text(&reply["id"]));
    ada.post(&again, &json!({})).await.expect(200);
    let note = json!({"content": "A note", "reply": false, "role": "system"});
    ada.post(&format!("{conversation}/messages"), &note).await.expect(201);
    ada.patch(&conversation, &json!({"status": "archived"})).await.expect(200);

    let exported = export(&ada, &conversation).await;
    assert_eq!(list(&exported["messages"]).len(), 42);
    let made = import(&grace, &exported.to_string(), None).await.expect(201);

    assert_eq!(made["skipped"], json!([]));
    let one = &made["data"][0];
    assert_eq!((&one["title"], &one["messages"]), (&json!("Grüner Tee: 🍵"), &json!(42)));
    let theirs = export(&grace, &path(&one["id"])).await;
    assert_eq!(without_ids(theirs), without_ids(exported.clone()));
    let branch = async |client, conversation: &str| {
        let messages = messages(client, conversation).await;
        messages.iter().map(|one| text(&one["content"]).to_owned()).collect::<Vec<_>>()
    };
    let theirs = branch(&grace, &path(&one["id"])).await;
    assert_eq!(theirs, branch(&ada, &conversation).await);
    assert_eq!(theirs.len(), 5, "two turns, of which one was answered again, and the note");
    let found = grace.get(&path(&one["code"])).await.expect(200);
    assert_eq!((&found["persona_id"], &found["status"]), (&json!(null), &json!("archived")));
    assert_eq!(found["created_at"], exported["conversation"]["created_at"]);
    let usage = grace.get(&format!("{}/stats", path(&one["id"]))).await.expect(200);
    assert_eq!(usage["tokens"]["total"], 0, "nothing counts as used");
    grace.get(&conversation).await.problem(404, "conversation_not_found");

    let everything = format!("[{exported},{exported}]");
    assert_eq!(list(&import(&ada, &everything, None).await.expect(201)["data"]).len(), 2);
}

async fn conversations_of_chatgpt_are_brought_over(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let mut feed = ada.feed("/api/v1/events", None).await;

    let made = import(&ada, CHATGPT, None).await.expect(201);

    let counts: Vec<_> = list(&made["data"]).iter().map(|one| one["messages"].clone()).collect();
    assert_eq!(counts, [5, 2, 3]);
    let skipped: Vec<_> = list(&made["skipped"]).iter().map(|one| &one["index"]).collect();
    assert_eq!(skipped, [3, 4]);
    assert_eq!(made["skipped"][0]["code"], "unknown_format");
    assert_eq!(made["skipped"][1]["title"], "A wrong one");

    let tea = path(&made["data"][0]["id"]);
    let exported = export(&ada, &tea).await;
    assert_eq!(exported["conversation"]["created_at"], "2023-11-14T22:13:20.123456Z");
    let told: Vec<_> =
        list(&exported["messages"]).iter().map(|one| text(&one["content"])).collect();
    let [picture, sencha] = ["[image]\nWhich tea is this? שלום 茶", "Sencha.\n\n```\n80 °C\n```"];
    let expected = [picture, sencha, "What does it cost?", "Oolong, perhaps.", "About 9 €."];
    assert_eq!(told, expected);
    let last = &exported["messages"][4];
    assert_eq!((&last["model"], &last["role"]), (&json!("gpt-4o"), &json!("assistant")));
    assert_eq!(last["created_at"], "2023-11-14T22:15:03.250000Z");

    let active: Vec<_> = [0, 1, 2, 4].map(|place| expected[place]).to_vec();
    let branch = messages(&ada, &tea).await;
    assert_eq!(branch.iter().map(|one| text(&one["content"])).collect::<Vec<_>>(), active);
    let markdown = ada.get(&format!("{tea}/export?format=markdown")).await.text();
    assert!(markdown.contains("About 9 €.") && !markdown.contains("Oolong"), "{markdown}");
    let link = ada.post(&format!("{tea}/share"), &json!({})).await.expect(201);
    let shared = ada.get(&format!("/api/v1/shared/{}", text(&link["token"]))).await.expect(200);
    let shared = list(&shared["data"]).iter().map(|one| text(&one["content"]));
    assert_eq!(shared.collect::<Vec<_>>(), active);

    let listed = ada.get("/api/v1/conversations").await.expect(200);
    let titles: Vec<_> = list(&listed["data"]).iter().map(|one| text(&one["title"])).collect();
    assert_eq!(titles[..2], ["Grüner Tee 🍵", "Only one way"], "in the order of their times");
    for one in list(&made["data"]) {
        let event = feed.next().await;
        assert_eq!(event.name, "conversation.created");
        assert_eq!(event.json()["conversation"]["id"], one["id"]);
    }
}

async fn a_file_that_is_sent_again_is_stored_once(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;

    let (one, other) =
        tokio::join!(import(&ada, CHATGPT, Some("a-key")), import(&ada, CHATGPT, Some("a-key")));
    let again = import(&ada, CHATGPT, Some("a-key")).await.expect(201);

    assert_eq!(one.expect(201), again);
    assert_eq!(other.expect(201), again);
    let listed = ada.get("/api/v1/conversations").await.expect(200);
    assert_eq!(list(&listed["data"]).len(), 3);
    let different = CHATGPT.replace("Only one way", "Another");
    import(&ada, &different, Some("a-key")).await.problem(422, "idempotency_key_reused");
    let first = path(&again["data"][0]["id"]);
    ada.delete(&first).await.expect(204);
    let rest = import(&ada, CHATGPT, Some("a-key")).await.expect(201);
    assert_eq!(rest["skipped"][0]["code"], "already_done");
    assert_eq!(list(&rest["data"]).len(), 2);
}

async fn imported_conversations_go_on(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let made = import(&ada, CHATGPT, None).await.expect(201);
    let way = path(&made["data"][1]["id"]);

    ask(&ada, &way, "Go on", "mock-2-0").await.expect(200);

    let asked = server.upstream().requests().pop().unwrap();
    let shown: Vec<_> =
        asked.messages()[1..].iter().map(|one| text(&one["content"]).to_owned()).collect();
    assert_eq!(shown, ["Hi", "Hello.", "Go on"]);
    assert_eq!(messages(&ada, &way).await.len(), 4);
}

#[tokio::test]
async fn a_file_to_read_has_a_name_and_is_markdown() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation_with(&ada, json!({"title": "Grüner Tee"})).await;
    ask(&ada, &conversation, "Which?\n\n- this", "mock-echo").await.expect(200);

    let file = ada.get(&format!("{conversation}/export?format=markdown")).await;

    assert_eq!(file.status, 200);
    assert_eq!(file.header("content-type"), "text/markdown; charset=utf-8");
    assert_eq!(
        file.header("content-disposition"),
        "attachment; filename=\"Gr_ner Tee.md\"; filename*=UTF-8''Gr%C3%BCner%20Tee.md"
    );
    let written = file.text();
    assert!(written.starts_with("# Grüner Tee\n\n## User\n\n*20"), "{written}");
    assert!(
        written.contains(" UTC*\n\nWhich?\n\n- this\n\n## Assistant (mock-echo)\n"),
        "{written}"
    );
    let wrong = ada.get(&format!("{conversation}/export?format=pdf")).await;
    assert_eq!(wrong.problem(422, "invalid_fields")["errors"][0]["field"], "format");
}

#[tokio::test]
async fn a_file_may_be_large_and_not_too_large() {
    let setup = Setup::on(Engine::Sqlite).with("REPARTEE__HTTP__UPLOAD_LIMIT_BYTES", "2000000");
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let file = |bytes: usize| {
        let said = json!({"role": "user", "content": "x".repeat(bytes)});
        json!({"format": "repartee.conversation", "version": 1, "conversation": {},
            "messages": [said, {"role": "user", "content": "y".repeat(900_000)}]})
        .to_string()
    };
    import(&ada, &file(1_000_000), None).await.expect(201);
    import(&ada, &file(1_100_001), None).await.problem(413, "body_too_large");

    import(&ada, "{", None).await.problem(400, "malformed_json");
    import(&ada, "[{}, 5]", None).await.problem(422, "invalid_fields");
    let wrong = ada.request(Method::POST, IMPORT).header("content-type", "text/csv").body("a,b");
    Answer::to(wrong).await.problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_key_takes_away_what_it_reads_and_brings_nothing() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation_with(&ada, json!({})).await;
    let key = json!({"name": "reader", "scopes": ["read"]});
    let key = ada.post("/api/v1/api-keys", &key).await.expect(201);
    let reader = server.client().with_token(text(&key["secret"]));

    let exported = export(&reader, &conversation).await;
    assert_eq!(text(&exported["conversation"]["id"]), id_of(&conversation));
    import(&reader, &exported.to_string(), None).await.problem(403, "insufficient_scope");
    let share = format!("{conversation}/share");
    reader.post(&share, &json!({})).await.problem(403, "insufficient_scope");
}
