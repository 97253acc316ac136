//! Sessions and personas.

use repartee_tests::server::Setup;
use serde_json::{Value, json};

use super::NOBODYS;
use crate::support::{id_of_user, list, on_both_databases, somebody, text};

on_both_databases!(a_session_is_made_used_changed_and_archived, more_sessions_are_linked_to);

fn names(answer: &Value) -> Vec<&str> {
    let mut names: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

async fn a_session_is_made_used_changed_and_archived(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    assert_eq!(ada.get("/api/health").await.expect(200)["status"], "healthy");
    let catalogue = server.client().get("/api/personas").await.expect(200);
    let persona = &list(&catalogue)[1]["id"];

    let wish = json!({"title": "Tea", "persona_id": persona});
    let session = ada.post("/api/sessions", &wish).await.expect(201);
    let fields =
        ["created_at", "id", "is_archived", "persona_id", "title", "updated_at", "user_id"];
    assert_eq!(names(&session), fields);
    assert_eq!(text(&session["user_id"]), id_of_user(&ada).await);
    assert_eq!((&session["persona_id"], &session["is_archived"]), (persona, &json!(false)));

    let said = json!({"session_id": session["id"], "message": "Hello"});
    let reply = ada.post("/api/chat", &said).await.expect(200);
    assert_eq!((&reply["session_id"], &reply["persona_id"]), (&session["id"], persona));
    let path = format!("/api/sessions/{}", text(&session["id"]));
    let changed = ada.put(&path, &json!({"title": "Green tea", "persona_id": null})).await;
    let changed = changed.expect(200);
    assert_eq!((&changed["title"], &changed["persona_id"]), (&json!("Green tea"), &json!(null)));

    ada.delete(&path).await.expect(204);
    let all = ada.get("/api/sessions").await.expect(200);
    assert_eq!(list(&all).len(), 1, "an archived one is there");
    assert_eq!(list(&all)[0]["is_archived"], true);
    ada.post("/api/chat", &said).await.problem(409, "conversation_archived");
    let again = ada.put(&path, &json!({"is_archived": false})).await.expect(200);
    assert_eq!((&again["is_archived"], &again["title"]), (&json!(false), &json!("Green tea")));
    ada.post("/api/chat", &said).await.expect(200);

    let unknown = ada.post("/api/sessions", &json!({"persona_id": 9_999})).await;
    assert_eq!(unknown.problem(422, "invalid_fields")["errors"][0]["field"], "persona_id");
    let nobodys = format!("/api/sessions/{NOBODYS}");
    ada.put(&nobodys, &json!({"title": 1})).await.problem(404, "conversation_not_found");
}

async fn more_sessions_are_linked_to(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    for n in 0..3 {
        ada.post("/api/sessions", &json!({"title": format!("{n}")})).await.expect(201);
    }
    let titles = |answer: Value| {
        let titles = list(&answer).iter().map(|one| text(&one["title"]).to_owned());
        titles.collect::<Vec<_>>()
    };

    let first = ada.get("/api/sessions?limit=2").await;
    assert_eq!(titles(first.expect(200)), ["2", "1"]);
    let next = first.header("link").strip_prefix('<').unwrap();
    let (next, rel) = next.split_once('>').unwrap();
    assert_eq!(rel, "; rel=\"next\"");
    let last = ada.get(next).await;
    assert_eq!(titles(last.expect(200)), ["0"]);
    assert_eq!(last.header("link"), "");
}
