//! Rating replies.

use repartee_tests::server::{Engine, Setup};
use serde_json::json;

use crate::support::{ask, conversation, messages, on_both_databases, somebody, text};

on_both_databases!(a_reply_is_rated_otherwise_and_not_at_all);

async fn a_reply_is_rated_otherwise_and_not_at_all(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let turn = ask(&ada, &conversation, "Hello", "mock-2-0").await.expect(200);
    let of = |id: &str| format!("{conversation}/messages/{id}/feedback");
    let reply = of(text(&turn["reply"]["id"]));
    let stored = async || messages(&ada, &conversation).await.swap_remove(1);

    assert!(stored().await.get("feedback").is_none());
    let up = json!({"rating": "up", "comment": "Just what I needed"});
    let rated = ada.put(&reply, &up).await.expect(200);
    assert_eq!(rated["feedback"]["comment"], "Just what I needed");
    assert_eq!(rated["content"], turn["reply"]["content"]);
    let by_code = of(text(&turn["reply"]["code"]));
    ada.put(&by_code, &json!({"rating": "down"})).await.expect(200);
    let told = stored().await;
    assert_eq!(
        (&told["feedback"]["rating"], &told["feedback"]["comment"]),
        (&json!("down"), &json!(null))
    );
    ada.put(&reply, &json!({"rating": null})).await.expect(200);
    assert!(stored().await.get("feedback").is_none());

    let question = of(text(&turn["message"]["id"]));
    let refused = ada.put(&question, &up).await.problem(422, "invalid_fields");
    assert_eq!(refused["errors"][0]["field"], "message_id");
    let wrong = ada.put(&reply, &json!({"rating": "sideways"})).await;
    assert_eq!(wrong.problem(422, "invalid_fields")["errors"][0]["field"], "rating");
    ada.put(&of("0123456789"), &up).await.problem(404, "message_not_found");
    ada.put(&of("nothing at all"), &json!({"rating": 1})).await.problem(404, "message_not_found");
}

#[tokio::test]
async fn nobody_else_rates_it() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let (mine, theirs) = (conversation(&ada).await, conversation(&grace).await);
    let turn = ask(&ada, &mine, "Hello", "mock-2-0").await.expect(200);
    let id = text(&turn["reply"]["id"]);

    let up = json!({"rating": "up"});
    let at = |conversation: &str| format!("{conversation}/messages/{id}/feedback");
    grace.put(&at(&mine), &up).await.problem(404, "conversation_not_found");
    grace.put(&at(&theirs), &up).await.problem(404, "message_not_found");
    assert!(messages(&ada, &mine).await[1].get("feedback").is_none());
}
