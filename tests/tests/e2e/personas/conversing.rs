//! Conversations that have a persona.

use repartee_tests::server::{Client, Server, Setup};
use serde_json::{Value, json};

use crate::support::{
    ask, conversation_with, list, on_both_databases, socket, somebody, text, with_root,
};

on_both_databases!(
    a_persona_speaks_between_the_operator_and_the_conversation,
    a_conversations_persona_is_chosen_changed_and_emptied,
    a_persona_that_goes_leaves_its_conversations_without,
    a_chat_changes_its_persona_when_another_is_given,
);

const CHAT: &str = "/api/chat";

/// The system message of the last request that the model got.
fn system_message(server: &Server) -> String {
    let asked = server.upstream().requests().pop().expect("the model was asked");
    let first = &asked.messages()[0];
    assert_eq!(first["role"], "system");
    text(&first["content"]).to_owned()
}

async fn persona(root: &Client, name: &str, prompt: &str) -> Value {
    let body = json!({"name": name, "system_prompt": prompt});
    root.post("/api/v1/personas", &body).await.expect(201)["id"].clone()
}

async fn a_persona_speaks_between_the_operator_and_the_conversation(setup: Setup) {
    let (server, root) =
        with_root(setup.with("REPARTEE__REPLIES__SYSTEM_MESSAGE", "Never swear.")).await;
    let pirate = persona(&root, "Pirate", "Talk like a pirate.").await;
    let ada = somebody(&server, "ada").await;
    let about = json!({"persona_id": pirate, "system_message": "Be brief."});
    let conversation = conversation_with(&ada, about).await;

    ask(&ada, &conversation, "Tea?", "mock-1-0").await.expect(200);
    assert_eq!(system_message(&server), "Never swear.\n\nTalk like a pirate.\n\nBe brief.");

    // What it is now counts, not what it was when it was chosen.
    let changed = json!({"system_prompt": "Talk like a corsair.", "is_active": false});
    root.put(&format!("/api/v1/personas/{pirate}"), &changed).await.expect(200);
    ask(&ada, &conversation, "Milk?", "mock-1-0").await.expect(200);
    assert_eq!(system_message(&server), "Never swear.\n\nTalk like a corsair.\n\nBe brief.");
}

async fn a_conversations_persona_is_chosen_changed_and_emptied(setup: Setup) {
    let (server, root) = with_root(setup).await;
    let pirate = persona(&root, "Pirate", "Arr.").await;
    let off = json!({"is_active": false});
    root.put(&format!("/api/v1/personas/{pirate}"), &off).await.expect(200);
    let ada = somebody(&server, "ada").await;
    for id in [json!(99), json!(0), json!(-1), pirate] {
        let made = ada.post("/api/v1/conversations", &json!({"persona_id": id})).await;
        let problem = made.problem(422, "invalid_fields");
        assert_eq!(problem["errors"][0]["field"], "persona_id", "{id}");
    }
    let path = conversation_with(&ada, json!({"persona_id": 4})).await;
    conversation_with(&ada, json!({})).await;
    let with = async |persona: i64| {
        let found = ada.get(&format!("/api/v1/conversations?persona_id={persona}")).await;
        list(&found.expect(200)["data"]).len()
    };
    assert_eq!((with(4).await, with(5).await), (1, 0));

    for (body, expected) in [
        (json!({"persona_id": 5}), json!(5)),
        (json!({"title": "Tea"}), json!(5)),
        (json!({"persona_id": null}), Value::Null),
    ] {
        assert_eq!(ada.patch(&path, &body).await.expect(200)["persona_id"], expected);
    }
    for wrong in [json!(99), json!("x"), json!(1.5)] {
        let problem = ada.patch(&path, &json!({"persona_id": wrong})).await;
        let problem = problem.problem(422, "invalid_fields");
        assert_eq!(problem["errors"][0]["field"], "persona_id");
    }
    let wrong = ada.get("/api/v1/conversations?persona_id=x").await;
    assert_eq!(wrong.problem(422, "invalid_fields")["errors"][0]["field"], "persona_id");
}

async fn a_persona_that_goes_leaves_its_conversations_without(setup: Setup) {
    let (server, root) = with_root(setup).await;
    let pirate = persona(&root, "Pirate", "Arr.").await;
    let ada = somebody(&server, "ada").await;
    let path =
        conversation_with(&ada, json!({"persona_id": pirate, "system_message": "Hm."})).await;

    root.delete(&format!("/api/v1/personas/{pirate}")).await.expect(204);

    assert_eq!(ada.get(&path).await.expect(200)["persona_id"], Value::Null);
    ask(&ada, &path, "Tea?", "mock-1-0").await.expect(200);
    assert_eq!(system_message(&server), "Hm.");
}

/// As a guest and as a user, over HTTP and on sockets.
async fn a_chat_changes_its_persona_when_another_is_given(setup: Setup) {
    let (server, root) = with_root(setup).await;
    let (pirate, poet) =
        (persona(&root, "Pirate", "Arr.").await, persona(&root, "Poet", "Rhyme.").await);
    let ada = somebody(&server, "ada").await;
    for client in [server.client(), ada.clone()] {
        let mut session = Value::Null;
        for (given, expected, prompt) in
            [(&pirate, &pirate, "Arr."), (&Value::Null, &pirate, "Arr."), (&poet, &poet, "Rhyme.")]
        {
            let body = json!({"session_id": session, "message": "Tea?", "persona_id": given});
            let reply = client.post(CHAT, &body).await.expect(200);
            assert_eq!(&reply["persona_id"], expected);
            assert_eq!(system_message(&server), prompt);
            session = reply["session_id"].clone();
        }
        let body = json!({"session_id": session, "message": "Tea?", "persona_id": 99});
        let problem = client.post(CHAT, &body).await.problem(422, "invalid_fields");
        assert_eq!(problem["errors"][0]["field"], "persona_id");
    }
    let mut plain = server.client().socket("/api/chat/stream").await;
    plain.send_text(&json!({"message": "Tea?", "persona_id": poet}).to_string()).await;
    loop {
        let frame: Value = serde_json::from_str(&plain.next().await.text).unwrap();
        if frame["type"] == "end" {
            assert_eq!(frame["persona_id"], poet);
            break;
        }
    }
    assert_eq!(system_message(&server), "Rhyme.");
    let mut native = socket(&ada).await;
    native.send("start_conversation", json!({"persona_id": pirate})).await;
    let started = native.next().await;
    assert_eq!(started.data["conversation"]["persona_id"], pirate, "{started:?}");
}
