//! Branches that are begun again, or by several at once.

use futures::future::join_all;
use repartee_tests::server::{Answer, Client, Setup};
use reqwest::{Method, header::ACCEPT};
use serde_json::{Value, json};

use super::{branch, path, two_turns};
use crate::support::{messages, on_both_databases, on_replicas, somebody, text, words};

on_both_databases!(
    a_repeated_request_is_one_branch,
    a_key_is_good_for_one_message,
    who_branches_and_who_goes_on_do_not_lose_each_other,
);
on_replicas!(replicas_agree_on_the_branches);

async fn keyed(client: &Client, method: Method, path: &str, body: &Value, stream: bool) -> Answer {
    let request = client.request(method, path).header("Idempotency-Key", "a-key").json(body);
    Answer::to(if stream { request.header(ACCEPT, "text/event-stream") } else { request }).await
}

async fn a_repeated_request_is_one_branch(setup: Setup) {
    let mut server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (conversation, first, second) = two_turns(&ada).await;
    let anew = format!("{}/regenerate", path(&conversation, &first["reply"]));
    let by_code = format!("{conversation}/messages/{}/regenerate", text(&first["reply"]["code"]));
    let body = json!({"model": "mock-20-20"});

    let asked = (0..8).map(|n| {
        let path = if n < 4 { &anew } else { &by_code };
        keyed(&ada, Method::POST, path, &body, n % 2 == 0)
    });
    let answers = join_all(asked).await;

    let (streams, bodies): (Vec<_>, Vec<_>) =
        answers.iter().enumerate().partition(|(n, _)| n % 2 == 0);
    for (_, body) in &bodies {
        assert_eq!(body.expect(200), bodies[0].1.json());
    }
    for (_, stream) in &streams {
        assert_eq!(stream.text(), streams[0].1.text());
    }
    let whole = bodies[0].1.json();
    assert_eq!(whole["reply"]["content"], words(20));
    assert!(streams[0].1.text().contains(text(&whole["reply"]["id"])));
    assert_eq!(branch(&ada, &conversation, "all").await.len(), 5);
    assert_eq!(server.upstream().requests().len(), 3);

    // After its end, and after a restart.
    let question = path(&conversation, &second["message"]);
    let body_of_edit = json!({"content": "Rather?", "model": "mock-2-0"});
    let edit = ada.request(Method::PATCH, &question).header("Idempotency-Key", "another");
    let edited = Answer::to(edit.json(&body_of_edit)).await.expect(200);
    server.restart().await;
    let ada = server.client().with_token(&ada.token.unwrap());
    assert_eq!(keyed(&ada, Method::POST, &anew, &body, false).await.expect(200), whole);
    let edit = ada.request(Method::PATCH, &question).header("Idempotency-Key", "another");
    assert_eq!(Answer::to(edit.json(&body_of_edit)).await.expect(200), edited);
    assert_eq!(branch(&ada, &conversation, "all").await.len(), 7);
}

async fn a_key_is_good_for_one_message(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (conversation, first, second) = two_turns(&ada).await;
    let anew = |message: &Value| format!("{}/regenerate", path(&conversation, message));
    let body = json!({"model": "mock-1-0"});
    keyed(&ada, Method::POST, &anew(&first["reply"]), &body, false).await.expect(200);

    let edit = json!({"content": "x", "reply": false});
    let send = format!("{conversation}/messages");
    for (method, path, body) in [
        (Method::POST, anew(&second["reply"]), &body),
        (Method::POST, anew(&first["reply"]), &json!({})),
        (Method::PATCH, path(&conversation, &first["message"]), &edit),
        (Method::POST, send, &edit),
    ] {
        let refused = keyed(&ada, method, &path, body, false).await;
        refused.problem(422, "idempotency_key_reused");
    }

    let question = path(&conversation, &first["message"]);
    let stored = async |key: &str| {
        let request = ada.request(Method::PATCH, &question).header("Idempotency-Key", key);
        Answer::to(request.json(&edit)).await.expect(201)
    };
    let once = stored("stored").await;
    assert_eq!(stored("stored").await, once);
    assert_ne!(stored("otherwise").await["message"]["id"], once["message"]["id"]);
}

/// Whatever comes first, everything that was said says what it follows, and is in a prompt once.
async fn who_branches_and_who_goes_on_do_not_lose_each_other(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    for _ in 0..5 {
        let (conversation, first, _) = two_turns(&ada).await;
        at_once([&ada, &ada], &conversation, &first).await;
    }
}

async fn replicas_agree_on_the_branches(setup: Setup) {
    let [here, there] = setup.replicas().await;
    let ada = somebody(&here, "ada").await;
    let elsewhere = there.client().with_token(ada.token.as_deref().unwrap());
    for _ in 0..5 {
        let (conversation, first, _) = two_turns(&ada).await;
        at_once([&ada, &elsewhere], &conversation, &first).await;
    }
}

async fn at_once([ada, elsewhere]: [&Client; 2], conversation: &str, first: &Value) {
    let send = format!("{conversation}/messages");
    let question = path(conversation, &first["message"]);
    let anew = format!("{question}/regenerate");
    let brief = json!({"content": "Going on", "model": "mock-1-0"});
    let note = json!({"content": "A note", "reply": false});
    let (model, edit) = (json!({"model": "mock-1-0"}), json!({"content": "x", "reply": false}));
    let notes = join_all((0..6).map(|n| {
        let client = if n % 2 == 0 { ada } else { elsewhere };
        client.post(&send, &note)
    }));
    let (sent, regenerated, edited, notes) = futures::join!(
        ada.post(&send, &brief),
        elsewhere.post(&anew, &model),
        elsewhere.patch(&question, &edit),
        notes,
    );

    let mut stored = 4;
    for (turn, new) in [(&sent, 2), (&regenerated, 1)] {
        match turn.status {
            200 => stored += new,
            _ => {
                assert!(["reply_in_progress", "stale_write"].contains(&text(&turn.json()["code"])));
            }
        }
    }
    for message in notes.iter().chain([&edited]) {
        match message.status {
            201 => stored += 1,
            _ => drop(message.problem(409, "stale_write")),
        }
    }
    let all = branch(ada, conversation, "all").await;
    assert_eq!(all.len(), stored);
    let roots = all.iter().filter(|message| message["parent_id"].is_null());
    let expected = 1 + usize::from(edited.status == 201);
    if regenerated.status == 200 || edited.status == 201 {
        assert_eq!(roots.count(), expected, "{all:?}");
    }
    let newest = messages(elsewhere, conversation).await;
    assert_eq!(newest.last(), all.last());
    for pair in newest.windows(2) {
        assert_eq!(pair[1]["parent_id"], pair[0]["id"], "{newest:?}");
    }
}
