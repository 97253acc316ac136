//! Conversations under their user.

use repartee_tests::server::{Client, Engine, Setup};
use serde_json::json;

use super::{NOBODYS, ids};
use crate::support::{id_of_user, list, on_both_databases, somebody, text, with_root};

on_both_databases!(
    a_conversation_is_ended_validated_and_reconnected,
    recent_ones_are_those_with_activity_since,
    an_administrator_acts_in_a_users_name_and_it_is_recorded,
);

async fn of(client: &Client) -> String {
    format!("/api/v1/users/{}/conversations/", id_of_user(client).await)
}

async fn a_conversation_is_ended_validated_and_reconnected(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let all = of(&ada).await;
    let made = ada.post(&all, &json!({"title": "Tea"})).await.expect(201);
    let (id, one) = (text(&made["id"]), format!("{all}{}", text(&made["id"])));
    assert_eq!(text(&made["code"]).len(), 12);
    let messages = format!("/api/v1/conversations/{id}/messages/");
    ada.post(&messages, &json!({"content": "Hello"})).await.expect(200);
    assert_eq!(list(&ada.get(&messages).await.expect(200)["data"]).len(), 2);
    assert_eq!(ids(&ada.get(&all).await.expect(200)), [id]);
    let validity = |answer: serde_json::Value| {
        (answer["valid"].clone(), answer["status"].clone(), answer["can_send"].clone())
    };
    let validate = format!("{one}/validate");

    let active = ada.get(&validate).await.expect(200);
    assert_eq!(validity(active), (json!(true), json!("active"), json!(true)));
    assert_eq!(ada.post(&format!("{one}/end"), &json!({})).await.expect(200)["status"], "ended");
    let ended = ada.get(&validate).await.expect(200);
    assert_eq!(validity(ended), (json!(true), json!("ended"), json!(false)));
    ada.post(&messages, &json!({"content": "More"})).await.problem(409, "conversation_ended");

    let again = ada.post(&format!("{one}/reconnect"), &json!({})).await.expect(200);
    assert_eq!((again["id"].as_str(), again["status"].as_str()), (Some(id), Some("active")));
    let said: Vec<_> = list(&again["messages"]).iter().map(|m| text(&m["role"])).collect();
    assert_eq!(said, ["user", "assistant"]);
    let ticket = text(&again["ticket"]["ticket"]);
    let mut socket = server.client().socket(&format!("/ws/{id}?ticket={ticket}")).await;
    socket.send("send_message", json!({"conversation_id": id, "content": "And milk?"})).await;
    socket.wait_for("message_completed").await;

    let stats = ada.get(&format!("{one}/stats")).await.expect(200);
    assert_eq!(stats["messages"], json!({"user": 2, "assistant": 2}));
    assert_eq!(stats, ada.get(&format!("/api/v1/conversations/{id}/stats")).await.expect(200));
    ada.delete(&one).await.expect(204);
    let gone = ada.get(&validate).await.expect(200);
    assert_eq!(validity(gone), (json!(false), json!(null), json!(false)));
    ada.get(&format!("{one}/stats")).await.problem(404, "conversation_not_found");
}

async fn recent_ones_are_those_with_activity_since(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let all = of(&ada).await;
    let make = async || ada.post(&all, &json!({})).await.expect(201);
    let (first, second, third) = (make().await, make().await, make().await);
    let recent = format!("{all}recent");
    let [first, second_id, third] = [&first, &second, &third].map(|one| text(&one["id"]));

    let newest = ada.get(&format!("{recent}?limit=2")).await.expect(200);
    assert_eq!(ids(&newest), [third, second_id]);
    let since = text(&second["created_at"]).replace('+', "%2B");
    let since = ada.get(&format!("{recent}?since={since}")).await.expect(200);
    assert_eq!(ids(&since), [third, second_id]);
    let all = ada.get(&format!("{recent}?since=2020-01-01T00:00:00%2B07:00")).await.expect(200);
    assert_eq!(ids(&all), [third, second_id, first]);
    let wrong = ada.get(&format!("{recent}?since=yesterday")).await;
    assert_eq!(wrong.problem(422, "invalid_fields")["errors"][0]["field"], "since");
}

async fn an_administrator_acts_in_a_users_name_and_it_is_recorded(setup: Setup) {
    let (server, root) = with_root(setup).await;
    let ada = somebody(&server, "ada").await;
    let all = of(&ada).await;
    let made = root.post(&all, &json!({"title": "For you"})).await.expect(201);
    let one = format!("{all}{}", text(&made["id"]));

    assert_eq!(ids(&ada.get(&all).await.expect(200)), [text(&made["id"])]);
    let again = root.post(&format!("{one}/reconnect"), &json!({})).await.expect(200);
    assert_eq!(again["ticket"], json!(null), "nobody gets into another's sockets");
    root.get(&format!("/api/v1/users/{NOBODYS}/conversations"))
        .await
        .problem(404, "user_not_found");

    let logged = root.get("/api/v1/audit-logs?action=others_read").await.expect(200);
    let logged = list(&logged["data"]);
    assert_eq!(logged.len(), 2, "{logged:?}");
    let her = json!({"type": "user", "id": id_of_user(&ada).await});
    assert!(logged.iter().all(|entry| entry["resource"] == her), "{logged:?}");
}

#[tokio::test]
async fn another_users_path_is_refused_whether_there_is_one_or_not() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let theirs = of(&ada).await;
    let one = ada.post(&theirs, &json!({})).await.expect(201);
    let nobodys = format!("/api/v1/users/{NOBODYS}/conversations/");

    for all in [&theirs, &nobodys] {
        let one = format!("{all}{}", text(&one["id"]));
        grace.get(all).await.problem(403, "not_yours");
        grace.get(&format!("{all}recent")).await.problem(403, "not_yours");
        grace.post(all, &json!({})).await.problem(403, "not_yours");
        grace.delete(&one).await.problem(403, "not_yours");
        grace.get(&format!("{one}/validate")).await.problem(403, "not_yours");
        grace.get(&format!("{one}/stats")).await.problem(403, "not_yours");
        grace.post(&format!("{one}/end"), &json!({})).await.problem(403, "not_yours");
        grace.post(&format!("{one}/reconnect"), &json!({})).await.problem(403, "not_yours");
    }
    assert_eq!(ids(&ada.get(&theirs).await.expect(200)), [text(&one["id"])]);
}

#[tokio::test]
async fn under_ones_own_path_is_nobody_elses_conversation() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let theirs = ada.post(&of(&ada).await, &json!({})).await.expect(201);
    let one = format!("{}{}", of(&grace).await, text(&theirs["id"]));

    grace.delete(&one).await.problem(404, "conversation_not_found");
    grace.get(&format!("{one}/stats")).await.problem(404, "conversation_not_found");
    grace
        .post(&format!("{one}/reconnect"), &json!({}))
        .await
        .problem(404, "conversation_not_found");
    assert_eq!(grace.get(&format!("{one}/validate")).await.expect(200)["valid"], json!(false));
}
