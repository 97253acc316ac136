//! So many tokens a month.

use futures::future::join_all;
use repartee_tests::server::{Answer, Client, Setup};
use serde_json::json;

use crate::support::{
    ask, begin, conversation, generation_of, id_of, messages, on_both_databases, settled, socket,
    somebody, text,
};

const BUDGET: &str = "REPARTEE__LIMITS__MONTHLY_TOKEN_BUDGET";

on_both_databases!(
    a_budget_that_is_used_up_refuses_until_the_month_is_over,
    of_many_at_once_no_more_is_used_than_there_is,
    a_reply_that_is_stopped_gives_back_what_it_did_not_use,
    a_crash_gives_back_what_was_not_used,
);

async fn short(client: &Client, path: &str) -> Answer {
    let body = json!({"content": "Why?", "model": "mock-20-0", "max_tokens": 20});
    client.post(&format!("{path}/messages"), &body).await
}

async fn used(client: &Client, path: &str) -> u64 {
    let messages = messages(client, path).await;
    messages.iter().filter_map(|message| message["tokens_used"].as_u64()).sum()
}

async fn a_budget_that_is_used_up_refuses_until_the_month_is_over(setup: Setup) {
    let server = setup.with(BUDGET, "200").start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let path = conversation(&ada).await;
    let mut count = 0;
    let refused = loop {
        let answer = short(&ada, &path).await;
        if answer.status != 200 {
            break answer;
        }
        count += 1;
    };

    assert!(count >= 1, "there is room for one");
    refused.problem(429, "budget_exceeded");
    assert_eq!(refused.header("x-should-retry"), "false");
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|left| left <= 31 * 86_400));
    assert!(used(&ada, &path).await <= 200);
    assert_eq!(messages(&ada, &path).await.len(), 2 * count, "what is refused is not stored");
    let mut socket = socket(&ada).await;
    socket.send("send_message", json!({"conversation_id": id_of(&path), "content": "x"})).await;
    assert_eq!(text(&socket.wait_for("error").await.data["code"]), "budget_exceeded");
    short(&grace, &conversation(&grace).await).await.expect(200);
}

async fn of_many_at_once_no_more_is_used_than_there_is(setup: Setup) {
    let server = setup.with(BUDGET, "300").start().await;
    let ada = somebody(&server, "ada").await;
    let paths = join_all((0..20).map(|_| conversation(&ada))).await;

    let answers = join_all(paths.iter().map(|path| short(&ada, path))).await;

    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert!(count(200) >= 2, "{}", count(200));
    assert_eq!(count(200) + count(429), 20);
    let used: u64 = join_all(paths.iter().map(|path| used(&ada, path))).await.into_iter().sum();
    assert!(used <= 300, "{used}");
}

async fn a_reply_that_is_stopped_gives_back_what_it_did_not_use(setup: Setup) {
    let server = setup.with(BUDGET, "1000").start().await;
    let ada = somebody(&server, "ada").await;
    let (path, other) = (conversation(&ada).await, conversation(&ada).await);
    // It may be as long as what is left.
    let mut stream = begin(&ada, &path, "mock-hang").await;
    let start = stream.next().await;
    ask(&ada, &other, "Me too?", "mock-3-0").await.problem(429, "budget_exceeded");

    ada.post(&format!("{}/cancel", generation_of(&start)), &json!({})).await.expect(200);

    ask(&ada, &other, "Now?", "mock-3-0").await.expect(200);
}

async fn a_crash_gives_back_what_was_not_used(setup: Setup) {
    let mut server = setup.with(BUDGET, "1000").start().await;
    let ada = somebody(&server, "ada").await;
    let path = conversation(&ada).await;
    let mut stream = begin(&ada, &path, "mock-hang").await;
    stream.next().await;

    server.restart().await;

    let ada = server.client().with_token(ada.token.as_deref().unwrap());
    settled(&ada, &path).await;
    ask(&ada, &path, "Now?", "mock-3-0").await.expect(200);
}
