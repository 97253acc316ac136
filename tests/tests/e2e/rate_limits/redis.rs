//! Replicas that share a count, and those that don't.

use repartee_tests::server::{Client, Engine, Server, Setup};
use serde_json::json;

use super::{LOG_INS, PER_HOUR, me};
use crate::support::{WITHIN_A_SECOND, eventually, somebody};

fn limited(setup: Setup) -> Setup {
    setup.with(PER_HOUR, "6").with(LOG_INS, "3")
}

/// How many of twelve requests are let in, by turns at each.
async fn let_in(clients: [&Client; 2]) -> usize {
    let mut count = 0;
    for client in clients.into_iter().cycle().take(12) {
        count += usize::from(me(client).await.status == 200);
    }
    count
}

async fn of_two_replicas(setup: Setup) -> usize {
    let [here, there] = limited(setup).replicas().await;
    let ada = somebody(&here, "ada").await;
    let elsewhere = there.client().with_token(ada.token.as_deref().unwrap());
    let_in([&ada, &elsewhere]).await
}

#[tokio::test]
async fn replicas_with_redis_share_the_count() {
    assert_eq!(of_two_replicas(Setup::on(Engine::Postgres).with_own_redis()).await, 6);
}

#[tokio::test]
async fn replicas_without_redis_count_each_for_itself() {
    assert_eq!(of_two_replicas(Setup::on(Engine::Postgres)).await, 12);
}

async fn log_in_fails(server: &Server) -> u16 {
    let wrong = json!({"email": "nobody@example.com", "password": "wrong"});
    server.client().post("/api/v1/auth/login", &wrong).await.status
}

async fn cache(server: &Server) -> String {
    let health = server.client().get("/health").await.expect(200);
    health["cache"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_redis_log_ins_are_limited_here_and_the_rest_is_open() {
    let server = limited(Setup::on(Engine::Sqlite).with_own_redis()).start().await;
    let ada = somebody(&server, "ada").await;
    assert_eq!(let_in([&ada, &ada]).await, 6);
    assert_eq!(cache(&server).await, "connected");

    server.site.redis().stop().await;

    eventually("health tells it", WITHIN_A_SECOND, async || cache(&server).await == "unavailable")
        .await;
    assert_eq!(let_in([&ada, &ada]).await, 12);
    for expected in [401, 401, 401, 429, 429] {
        assert_eq!(log_in_fails(&server).await, expected);
    }

    server.site.redis().start_again().await;
    let is_limited = async || me(&ada).await.status == 429;
    eventually("it counts again", 3 * WITHIN_A_SECOND, is_limited).await;
    assert_eq!(cache(&server).await, "connected");
}
