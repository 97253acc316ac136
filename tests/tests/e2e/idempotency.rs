//! One question, one answer, one bill, however often it is sent.

use futures::future::join_all;
use repartee_tests::server::{Answer, Client, Engine, Setup};
use reqwest::{Method, header::ACCEPT};
use serde_json::{Value, json};

use crate::support::{
    PASSWORD, address, conversation, generation_of, list, mail_to, mails_to, messages,
    on_both_databases, on_replicas, somebody, text, with_root, words,
};

const KEY: &str = "0b0e7d7c-9a3f-4c66-8b1d-1f2f3a4b5c6d";

on_both_databases!(
    of_twenty_sends_at_once_one_asks_and_all_are_answered,
    a_send_is_repeated_after_the_end_and_after_a_restart,
    a_key_is_good_for_one_request,
    what_is_only_stored_is_stored_once,
    a_conversation_is_made_once,
    a_user_is_made_and_mailed_once,
    a_key_for_a_program_is_made_once,
    the_id_and_the_code_name_the_same_request,
);
on_replicas!(sends_at_several_replicas_are_one);

/// Sends with a key, streaming or not.
async fn send(
    client: &Client,
    conversation: &str,
    body: &Value,
    key: &str,
    stream: bool,
) -> Answer {
    let path = format!("{conversation}/messages");
    let request = client.request(Method::POST, &path).header("Idempotency-Key", key).json(body);
    Answer::to(if stream { request.header(ACCEPT, "text/event-stream") } else { request }).await
}

/// All streams are alike to the byte, and so are all bodies; the answers of each kind, once.
#[track_caller]
fn assert_alike(answers: &[Answer]) -> (String, Value) {
    let (streams, bodies): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.header("content-type").starts_with("text/event-stream"));
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for stream in &streams {
        assert_eq!(stream.text(), streams[0].text());
    }
    for body in &bodies {
        assert_eq!(body.json(), bodies[0].json());
    }
    let stream = streams[0].text();
    let body = bodies[0].json();
    assert!(stream.contains(text(&body["reply"]["id"])), "they tell of one reply: {stream}");
    (stream, body)
}

async fn of_twenty_sends_at_once_one_asks_and_all_are_answered(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let body = json!({"content": "Once", "model": "mock-20-20"});

    let sends = (0..20).map(|n| send(&ada, &conversation, &body, KEY, n % 2 == 0));
    let (_, answer) = assert_alike(&join_all(sends).await);

    assert_eq!(answer["reply"]["content"], words(20));
    let stored = messages(&ada, &conversation).await;
    assert_eq!(stored, [answer["message"].clone(), answer["reply"].clone()]);
    assert_eq!(server.upstream().requests().len(), 1);
}

async fn sends_at_several_replicas_are_one(setup: Setup) {
    let [here, there] = setup.replicas().await;
    let ada = somebody(&here, "ada").await;
    let elsewhere = there.client().with_token(ada.token.as_deref().unwrap());
    let conversation = conversation(&ada).await;
    let body = json!({"content": "Once", "model": "mock-20-20"});

    let sends = (0..20).map(|n| {
        let client = if n % 4 < 2 { &ada } else { &elsewhere };
        send(client, &conversation, &body, KEY, n % 2 == 0)
    });
    let at_once = assert_alike(&join_all(sends).await);

    assert_eq!(messages(&elsewhere, &conversation).await.len(), 2);
    assert_eq!(here.upstream().requests().len(), 1);
    let again = [true, false].map(|stream| send(&elsewhere, &conversation, &body, KEY, stream));
    assert_eq!(assert_alike(&join_all(again).await), at_once);
    assert_eq!(here.upstream().requests().len(), 1);
}

async fn a_send_is_repeated_after_the_end_and_after_a_restart(setup: Setup) {
    let mut server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let good = json!({"content": "Once", "model": "mock-6-6"});
    let bad = json!({"content": "Once", "model": "mock-400"});
    let first = join_all([true, false].map(|stream| send(&ada, &conversation, &good, KEY, stream)));
    let first = assert_alike(&first.await);
    let failed = send(&ada, &conversation, &bad, "another-key", false).await;
    failed.expect(502);

    let again = join_all([true, false].map(|stream| send(&ada, &conversation, &good, KEY, stream)));
    assert_eq!(assert_alike(&again.await), first);
    server.restart().await;
    let ada = server.client().with_token(&ada.token.unwrap());
    let again = join_all([true, false].map(|stream| send(&ada, &conversation, &good, KEY, stream)));
    assert_eq!(assert_alike(&again.await), first);

    let again = send(&ada, &conversation, &bad, "another-key", false).await;
    assert_eq!(again.expect(502)["code"], failed.json()["code"]);
    assert_eq!(messages(&ada, &conversation).await.len(), 4);
    assert_eq!(server.upstream().requests().len(), 2);
}

async fn a_key_is_good_for_one_request(setup: Setup) {
    let server = setup.start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let conversation = conversation(&ada).await;
    let body = json!({"content": "Once", "model": "mock-hang"});
    let path = format!("{conversation}/messages");
    let request = ada.request(Method::POST, &path).header("Idempotency-Key", KEY);
    let request = request.header(ACCEPT, "text/event-stream").json(&body);
    let mut running = repartee_tests::server::Events::try_of(request).await.unwrap();
    let start = running.next().await;

    for other in [
        json!({"content": "Twice", "model": "mock-hang"}),
        json!({"content": "Once", "model": "mock-1-0"}),
        json!({"content": "Once", "model": "mock-hang", "temperature": 0.5}),
        json!({"content": "Once", "reply": false}),
    ] {
        let refused = send(&ada, &conversation, &other, KEY, false).await;
        refused.problem(422, "idempotency_key_reused");
    }
    // Without the key, or with another, it is another question.
    let refused = send(&ada, &conversation, &body, "other", true).await;
    refused.problem(409, "reply_in_progress");
    // Nobody else knows the key.
    let hers = crate::support::conversation(&grace).await;
    let other = json!({"content": "Mine", "model": "mock-2-0"});
    assert_eq!(
        send(&grace, &hers, &other, KEY, false).await.expect(200)["reply"]["content"],
        words(2)
    );

    ada.post(&format!("{}/cancel", generation_of(&start)), &json!({})).await.expect(200);
    let refused = send(&ada, &conversation, &json!({"content": "Twice"}), KEY, true).await;
    refused.problem(422, "idempotency_key_reused");
    assert_eq!(messages(&ada, &conversation).await.len(), 2);
}

async fn what_is_only_stored_is_stored_once(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let body = json!({"content": "A note", "reply": false});

    let sends = (0..10).map(|_| send(&ada, &conversation, &body, KEY, false));
    let answers = join_all(sends).await;

    let stored = messages(&ada, &conversation).await;
    assert_eq!(stored.len(), 1);
    for answer in &answers {
        assert!((200..300).contains(&answer.status), "{}: {}", answer.status, answer.text());
        assert_eq!((answer.status, answer.json()), (answers[0].status, answers[0].json()));
    }
    let other = json!({"content": "Another note", "reply": false});
    send(&ada, &conversation, &other, KEY, false).await.problem(422, "idempotency_key_reused");
    assert_eq!(messages(&ada, &conversation).await, stored);
    assert_eq!(server.upstream().requests().len(), 0);
}

#[tokio::test]
async fn where_no_header_can_be_set_the_key_is_in_the_query() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let stream = conversation.replace("/conversations/", "/stream/chat/");
    let path = format!("{stream}?message=Once&model=mock-20-10&key={KEY}");

    let streams = join_all((0..6).map(|_| ada.get(&path))).await;

    for stream in &streams {
        assert_eq!((stream.status, stream.text()), (200, streams[0].text()));
    }
    let other = path.replace("Once", "Twice");
    ada.get(&other).await.problem(422, "idempotency_key_reused");
    assert_eq!(ada.get(&path).await.text(), streams[0].text());
    assert_eq!(messages(&ada, &conversation).await.len(), 2);
    assert_eq!(server.upstream().requests().len(), 1);
}

async fn make(client: &Client, body: &Value, key: &str) -> Answer {
    post(client, "/api/v1/conversations", body, key).await
}

async fn post(client: &Client, path: &str, body: &Value, key: &str) -> Answer {
    let request = client.request(Method::POST, path).header("Idempotency-Key", key);
    Answer::to(request.json(body)).await
}

async fn a_conversation_is_made_once(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let bob = somebody(&server, "bob").await;
    let tea = json!({"title": "Tea"});

    let made = join_all((0..20).map(|_| make(&ada, &tea, KEY))).await;

    let first = made[0].expect(201);
    for answer in &made {
        assert_eq!(answer.expect(201), first);
        assert_eq!(answer.header("location"), made[0].header("location"));
    }
    let listed = ada.get("/api/v1/conversations").await.expect(200);
    assert_eq!(listed["data"], json!([first]));
    make(&ada, &json!({"title": "Coffee"}), KEY).await.problem(422, "idempotency_key_reused");
    assert_ne!(make(&bob, &tea, KEY).await.expect(201)["id"], first["id"], "a key of his own");
    assert_ne!(make(&ada, &tea, "another").await.expect(201)["id"], first["id"]);

    ada.delete(&format!("/api/v1/conversations/{}", text(&first["id"]))).await.expect(204);
    make(&ada, &tea, KEY).await.problem(409, "already_done");
}

async fn a_user_is_made_and_mailed_once(setup: Setup) {
    let (server, root) = with_root(setup).await;
    let users = "/api/v1/users";
    let grace = json!({"email": address("grace"), "username": "grace"});

    let made = join_all((0..8).map(|_| post(&root, users, &grace, KEY))).await;

    let first = made[0].expect(201);
    for answer in &made {
        assert_eq!(answer.expect(201), first);
        assert_eq!(answer.header("location"), made[0].header("location"));
    }
    assert_eq!(post(&root, users, &grace, KEY).await.expect(201), first);
    let listed = root.get(users).await.expect(200);
    assert_eq!(list(&listed["data"]).len(), 2, "root and Grace");
    mail_to(&server, "grace", "Choose a new password", 1).await;
    for other in [
        json!({"email": address("ada"), "username": "grace"}),
        json!({"email": address("grace"), "username": "grace", "password": PASSWORD}),
    ] {
        post(&root, users, &other, KEY).await.problem(422, "idempotency_key_reused");
    }
    let namesake = json!({"email": address("grace")});
    post(&root, users, &namesake, "another").await.problem(409, "email_taken");

    root.delete(made[0].header("location")).await.expect(204);
    post(&root, users, &grace, KEY).await.problem(409, "already_done");
    assert_eq!(mails_to(&server, "grace", "Choose a new password").len(), 1);
}

async fn a_key_for_a_program_is_made_once(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let keys = "/api/v1/api-keys";
    let script = json!({"name": "a script"});

    let answers = join_all((0..12).map(|_| post(&ada, keys, &script, KEY))).await;

    let (made, others): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 1, "{answers:?}");
    for other in others {
        other.problem(409, "already_done");
    }
    post(&ada, keys, &script, KEY).await.problem(409, "already_done");
    let other = json!({"name": "another script"});
    post(&ada, keys, &other, KEY).await.problem(422, "idempotency_key_reused");
    let listed = ada.get(keys).await.expect(200);
    assert_eq!(list(&listed["data"]).len(), 1);
    assert_eq!(listed["data"][0]["id"], made[0].json()["id"]);
    let program = server.client().with_token(text(&made[0].json()["secret"]));
    program.get("/api/v1/conversations").await.expect(200);
}

async fn the_id_and_the_code_name_the_same_request(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let made = make(&ada, &json!({}), KEY).await.expect(201);
    let body = json!({"content": "Once", "model": "mock-2-0"});
    let path = |name: &str| format!("/api/v1/conversations/{}", text(&made[name]));

    let by_id = send(&ada, &path("id"), &body, KEY, false).await.expect(200);
    let by_code = send(&ada, &path("code"), &body, KEY, false).await.expect(200);

    assert_eq!(by_id, by_code);
    assert_eq!(server.upstream().requests().len(), 1);
    // Elsewhere the key is another request's.
    let other = conversation(&ada).await;
    send(&ada, &other, &body, KEY, false).await.problem(422, "idempotency_key_reused");
}
