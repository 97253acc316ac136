//! Clients of a backend with projects: their documented requests, as they are sent.

use futures::future::join_all;
use repartee_tests::server::{Client, Server, Setup};
use serde_json::{Value, json};

use super::system_message;
use crate::support::{PASSWORD, address, id_of, list, messages, on_both_databases, somebody, text};

on_both_databases!(
    the_documented_requests_work_as_written,
    of_two_first_messages_at_once_both_are_in_one_conversation,
    a_conversation_that_ended_or_left_is_followed_by_another,
);

/// Registers, logs in, and makes a project.
async fn begin(server: &Server, name: &str) -> (Client, Value) {
    let body = json!({"email": address(name), "password": PASSWORD});
    let nobody = server.client();
    assert_eq!(nobody.post("/users/register", &body).await.expect(201)["email"], address(name));
    let token = nobody.post("/users/login", &body).await.expect(200);
    let client = nobody.with_token(text(&token["access_token"]));
    let project = client.post("/projects", &json!({"name": "Tea shop"})).await.expect(201);
    (client, project["id"].clone())
}

async fn say(client: &Client, project: &Value, message: &str) -> Value {
    let body = json!({"project_id": project, "message": message});
    client.post("/chat", &body).await.expect(200)
}

async fn the_documented_requests_work_as_written(setup: Setup) {
    let server = setup.start().await;
    let body = json!({"email": address("ada"), "password": PASSWORD});
    server.client().post("/users/login", &body).await.problem(401, "wrong_credentials");
    let (ada, project) = begin(&server, "ada").await;
    server.client().post("/users/register", &body).await.problem(409, "email_taken");
    let token = server.client().post("/users/login", &body).await.expect(200);
    assert_eq!((&token["token_type"], &token["expires_in"]), (&json!("bearer"), &json!(3_600)));
    assert!(token.get("refresh_token").is_none(), "these clients don't refresh");
    let projects = ada.get("/projects").await.expect(200);
    assert_eq!((list(&projects).len(), &projects[0]["name"]), (1, &json!("Tea shop")));

    let default = say(&ada, &project, "Hello").await;
    assert!(!text(&default["reply"]).is_empty());
    assert!(!system_message(&server).is_empty(), "there is a default");

    let prompts = format!("/projects/{project}/prompts");
    let first = ada.post(&prompts, &json!({"content": "You sell tea."})).await.expect(201);
    ada.post(&prompts, &json!({"content": "Be brief."})).await.expect(201);
    let listed = ada.get(&prompts).await.expect(200);
    assert_eq!(list(&listed)[0], first);
    let reply = say(&ada, &project, "Tea?").await;
    assert_eq!(system_message(&server), "You sell tea.\n\nBe brief.");
    assert_eq!(reply["conversation_id"], default["conversation_id"], "it goes on");
    let path = format!("/api/v1/conversations/{}", text(&reply["conversation_id"]));
    let stored = messages(&ada, &path).await;
    assert_eq!((stored.len(), &stored[3]["id"]), (4, &reply["message_id"]));
    assert_eq!(stored[3]["content"], reply["reply"]);

    let one = format!("/projects/prompts/{}", first["id"]);
    let changed = ada.put(&one, &json!({"content": "You sell coffee."})).await.expect(200);
    assert_eq!(changed["content"], "You sell coffee.");
    say(&ada, &project, "Coffee?").await;
    assert_eq!(system_message(&server), "You sell coffee.\n\nBe brief.");
    ada.delete(&one).await.expect(204);
    ada.delete(&one).await.problem(404, "prompt_not_found");

    // Whoever is no member finds nothing.
    let grace = somebody(&server, "grace").await;
    let stranger = json!({"project_id": project, "message": "Tea?"});
    grace.post("/chat", &stranger).await.problem(404, "project_not_found");
    grace.get(&prompts).await.problem(404, "project_not_found");
    let second = &list(&listed)[1]["id"];
    let second = format!("/projects/prompts/{second}");
    grace.put(&second, &json!({"content": "x"})).await.problem(404, "prompt_not_found");
    for (field, wrong) in [
        ("message", json!({"project_id": project, "message": " "})),
        ("message", json!({"project_id": project})),
        ("project_id", json!({"message": "x"})),
        ("project_id", json!({"project_id": "x", "message": "x"})),
    ] {
        let problem = ada.post("/chat", &wrong).await.problem(422, "invalid_fields");
        assert_eq!(problem["errors"][0]["field"], field);
    }
}

async fn of_two_first_messages_at_once_both_are_in_one_conversation(setup: Setup) {
    let server = setup.with("OPENAI_MODEL", "mock-5-5").start().await;
    let (ada, project) = begin(&server, "ada").await;
    let body = json!({"project_id": project, "message": "Race"});

    let answers = join_all((0..6).map(|_| ada.post("/chat", &body))).await;

    let (good, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(!good.is_empty(), "{answers:?}");
    for answer in refused {
        answer.problem(409, "reply_in_progress");
    }
    let all = ada.get("/api/v1/conversations").await.expect(200);
    let all = list(&all["data"]);
    assert_eq!((all.len(), &all[0]["project_id"]), (1, &project));
    for answer in good {
        assert_eq!(answer.json()["conversation_id"], all[0]["id"]);
    }
}

async fn a_conversation_that_ended_or_left_is_followed_by_another(setup: Setup) {
    let server = setup.start().await;
    let (ada, project) = begin(&server, "ada").await;
    let mut known = Vec::new();
    for change in [
        json!({"status": "archived"}),
        json!({"status": "ended"}),
        json!({"project_id": null}),
        Value::Null,
    ] {
        let reply = say(&ada, &project, "Tea?").await;
        let id = text(&reply["conversation_id"]).to_owned();
        assert!(!known.contains(&id), "{known:?}");
        let path = format!("/api/v1/conversations/{id}");
        if change.is_null() {
            ada.delete(&path).await.expect(204);
        } else {
            ada.patch(&path, &change).await.expect(200);
        }
        known.push(id);
    }
    let running = say(&ada, &project, "Tea?").await["conversation_id"].clone();
    assert!(!known.iter().any(|id| *id == running));

    // Another is named, and the running one stays what it is.
    let about = json!({"project_id": project});
    let other = ada.post("/api/v1/conversations", &about).await.expect(201);
    for named in [&other["id"], &other["code"]] {
        let body = json!({"project_id": project, "message": "Tea?", "conversation_id": named});
        let reply = ada.post("/chat", &body).await.expect(200);
        assert_eq!(reply["conversation_id"], other["id"]);
    }
    assert_eq!(say(&ada, &project, "Tea?").await["conversation_id"], running);
    for foreign in [&*known[2], id_of("/x/nobody")] {
        let body = json!({"project_id": project, "message": "Tea?", "conversation_id": foreign});
        ada.post("/chat", &body).await.problem(404, "conversation_not_found");
    }
}
