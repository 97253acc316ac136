//! What a reply took is known however it ended.

use repartee_tests::server::{Client, Setup};
use serde_json::{Value, json};

use crate::support::{
    begin, conversation, generation_of, messages, on_both_databases, settled, somebody,
};

on_both_databases!(
    usage_is_settled_on_every_path,
    usage_of_an_interrupted_reply_is_settled_after_a_restart,
);

/// Of a reply that has been written in part, or whole.
#[track_caller]
fn assert_settled(reply: &Value, estimated: bool, words: std::ops::RangeInclusive<u64>) {
    let [prompt, completion, total] = ["prompt_tokens", "completion_tokens", "tokens_used"]
        .map(|name| reply[name].as_u64().unwrap_or_else(|| panic!("{name} is missing: {reply}")));
    assert!(prompt > 0, "{reply}");
    assert!(words.contains(&completion), "{completion} tokens: {reply}");
    assert_eq!(total, prompt + completion, "{reply}");
    assert_eq!(reply["is_usage_estimated"], estimated, "{reply}");
}

/// Writes a reply, cancelling it after some events where that is asked for; gives it as stored.
async fn reply(client: &Client, model: &str, cancel_after: Option<usize>) -> Value {
    let conversation = conversation(client).await;
    let mut stream = begin(client, &conversation, model).await;
    if let Some(count) = cancel_after {
        let events = stream.take(count).await;
        let path = format!("{}/cancel", generation_of(&events[0]));
        client.post(&path, &json!({})).await.expect(200);
    }
    let end = stream.rest().await.pop().unwrap().json();
    let stored = messages(client, &conversation).await;
    assert_eq!(stored[1], end["message"]);
    assert_eq!(end["usage"]["total_tokens"], stored[1]["tokens_used"], "{end}");
    assert_eq!(end["usage"]["prompt_tokens"], stored[1]["prompt_tokens"], "{end}");
    stored[1].clone()
}

async fn usage_is_settled_on_every_path(setup: Setup) {
    let setup = setup.with("REPARTEE__REPLIES__IDLE_SECONDS", "3");
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    // A word that the upstream counts is one token; an estimate has several for each.
    for (model, cancel_after, estimated, tokens) in [
        ("mock-16-1", None, false, 16..=16),
        ("mock-nousage", None, true, 17..=400),
        ("mock-cut", None, true, 9..=200),
        ("mock-errormid", None, true, 9..=200),
        ("mock-hangmid", None, true, 9..=200),
        ("mock-1000-10", Some(5), true, 1..=5000),
        ("mock-hang", Some(1), true, 0..=0),
    ] {
        let reply = reply(&ada, model, cancel_after).await;
        assert_settled(&reply, estimated, tokens);
    }
    let refused = reply(&ada, "mock-400", None).await;
    for name in ["prompt_tokens", "completion_tokens", "tokens_used"] {
        assert_eq!(refused[name], 0, "nobody took the prompt: {refused}");
    }
}

async fn usage_of_an_interrupted_reply_is_settled_after_a_restart(setup: Setup) {
    let mut server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    // Long enough for checkpoints to have been made.
    begin(&ada, &conversation, "mock-1000-10").await.take(60).await;

    server.restart().await;

    let ada = server.client().with_token(&ada.token.unwrap());
    let stored = settled(&ada, &conversation).await;
    assert_eq!(stored[1]["status"], "interrupted");
    assert_settled(&stored[1], true, 1..=5000);
}
