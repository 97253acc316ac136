//! Branches that are not begun.

use repartee_tests::server::{Engine, Setup};
use serde_json::json;

use super::{path, two_turns};
use crate::support::{
    conversation, generation_of, list, messages, on_both_databases, somebody, text,
};

on_both_databases!(
    one_reply_at_a_time_is_written,
    a_closed_conversation_takes_no_branch,
    nobody_branches_what_is_somebody_elses,
);

async fn one_reply_at_a_time_is_written(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (conversation, first, second) = two_turns(&ada).await;
    let anew = format!("{}/regenerate", path(&conversation, &first["reply"]));
    let mut running = ada.stream(&anew, &json!({"model": "mock-hang"})).await;
    let start = running.next().await;

    for refused in [
        ada.post(&anew, &json!({})).await,
        ada.patch(&path(&conversation, &second["message"]), &json!({"content": "Now?"})).await,
        ada.post(&format!("{conversation}/messages"), &json!({"content": "Now?"})).await,
    ] {
        let problem = refused.problem(409, "reply_in_progress");
        assert_eq!(problem["generation_id"], start.json()["generation_id"]);
    }

    ada.post(&format!("{}/cancel", generation_of(&start)), &json!({})).await.expect(200);
    assert_eq!(running.rest().await.last().unwrap().name, "cancelled");
    assert_eq!(messages(&ada, &conversation).await[1]["status"], "cancelled");
}

async fn a_closed_conversation_takes_no_branch(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (conversation, first, _) = two_turns(&ada).await;
    let question = path(&conversation, &first["message"]);
    for (status, code) in [("archived", "conversation_archived"), ("ended", "conversation_ended")] {
        ada.patch(&conversation, &json!({"status": status})).await.expect(200);
        ada.post(&format!("{question}/regenerate"), &json!({})).await.problem(409, code);
        ada.patch(&question, &json!({"content": "x"})).await.problem(409, code);
        let stored = json!({"content": "x", "reply": false});
        ada.patch(&question, &stored).await.problem(409, code);
    }
    assert_eq!(messages(&ada, &conversation).await.len(), 4);
}

async fn nobody_branches_what_is_somebody_elses(setup: Setup) {
    let server = setup.start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let (hers, first, _) = two_turns(&ada).await;
    let (other, theirs) = (conversation(&ada).await, conversation(&grace).await);
    let edit = json!({"content": "Mine?"});
    for (client, at, code) in [
        (&grace, &hers, "conversation_not_found"),
        (&grace, &theirs, "message_not_found"),
        // One's own, but of another conversation.
        (&ada, &other, "message_not_found"),
    ] {
        let question = path(at, &first["message"]);
        client.post(&format!("{question}/regenerate"), &json!({})).await.problem(404, code);
        client.patch(&question, &edit).await.problem(404, code);
        client.patch(&question, &json!({"content": 5})).await.problem(404, code);
        let through = format!("{at}/messages?branch={}", text(&first["message"]["id"]));
        client.get(&through).await.problem(404, code);
    }
    let after = json!({"content": "x", "parent_id": first["message"]["id"]});
    let refused = ada.post(&format!("{other}/messages"), &after).await;
    assert_eq!(refused.problem(422, "invalid_fields")["errors"][0]["field"], "parent_id");
    grace.post(&format!("{hers}/messages"), &after).await.problem(404, "conversation_not_found");
    assert_eq!(messages(&ada, &hers).await.len(), 4);
    assert_eq!(messages(&ada, &other).await.len(), 0);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_its_field() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let (conversation, first, _) = two_turns(&ada).await;
    let note = json!({"content": "A note", "role": "system"});
    let note = ada.post(&format!("{conversation}/messages"), &note).await.expect(201);
    let alone = json!({"content": "After a note", "role": "assistant"});
    let alone = ada.post(&format!("{conversation}/messages"), &alone).await.expect(201);
    let asked = server.upstream().requests().len();
    let (question, reply) = (&first["message"], &first["reply"]);
    for (field, message, body) in [
        ("content", question, json!({})),
        ("content", question, json!({"content": " "})),
        ("content", question, json!({"content": "x".repeat(100_001), "reply": false})),
        ("reply", question, json!({"content": "x", "reply": "no"})),
        ("temperature", question, json!({"content": "x", "temperature": 3})),
        ("max_tokens", question, json!({"content": "x", "max_tokens": 0})),
        ("message_id", reply, json!({"content": "x"})),
        ("message_id", reply, json!({"content": "x", "reply": false})),
        ("message_id", &note["message"], json!({"content": "x"})),
    ] {
        let refused = ada.patch(&path(&conversation, message), &body).await;
        let problem = refused.problem(422, "invalid_fields");
        assert_eq!(list(&problem["errors"])[0]["field"], field, "{problem}");
    }
    for (field, message, body) in [
        ("temperature", question, json!({"temperature": -1})),
        ("max_tokens", reply, json!({"max_tokens": "many"})),
        ("message_id", &note["message"], json!({})),
        ("message_id", &alone["message"], json!({})),
        (".", question, json!([])),
    ] {
        let anew = format!("{}/regenerate", path(&conversation, message));
        let problem = ada.post(&anew, &body).await.problem(422, "invalid_fields");
        assert_eq!(list(&problem["errors"])[0]["field"], field, "{problem}");
    }
    let anew = format!("{}/regenerate", path(&conversation, reply));
    ada.post(&anew, &json!({"model": "no-such"})).await.expect(502);
    for parent in ["all", "0123456789", "01939c2e-7b9a-7000-8000-000000000000"] {
        let body = json!({"content": "x", "parent_id": parent});
        let refused = ada.post(&format!("{conversation}/messages"), &body).await;
        let problem = refused.problem(422, "invalid_fields");
        assert_eq!(list(&problem["errors"])[0]["field"], "parent_id", "{problem}");
    }
    for message in ["nothing", "0123456789", "01939c2e-7b9a-7000-8000-000000000000"] {
        let at = format!("{conversation}/messages/{message}");
        ada.post(&format!("{at}/regenerate"), &json!({})).await.problem(404, "message_not_found");
        ada.patch(&at, &json!({"content": "x"})).await.problem(404, "message_not_found");
        let list = format!("{conversation}/messages?branch={message}");
        ada.get(&list).await.problem(404, "message_not_found");
    }
    assert!(server.upstream().requests().len() <= asked + 3, "nobody else is asked");
}
