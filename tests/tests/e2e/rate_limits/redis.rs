//! Replicas that share a count, and those that don't.

use repartee_tests::server::{Client, Engine, Server, Setup};
use serde_json::json;

use super::{LOG_INS, PER_HOUR, me};
use crate::support::{WITHIN_A_SECOND, eventually, somebody};

/// What the log says of Redis.
const AWAY: &str = "Redis does not do its work";
const BACK: &str = "Redis does its work again";

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

/// How many of twelve requests of somebody new are let in, by turns at two servers; and who it was.
/// Where Redis answered too late to count them all, it is done again with somebody else.
async fn counted([here, there]: [&Server; 2]) -> (Client, usize) {
    let told = |what: &str| {
        let log = [here.log(), there.log()].concat();
        log.iter().filter(|line| line.contains(what)).count()
    };
    for number in 0..5 {
        let before = told(AWAY);
        let ada = somebody(here, &format!("ada-{number}")).await;
        let elsewhere = there.client().with_token(ada.token.as_deref().unwrap());
        let count = let_in([&ada, &elsewhere]).await;
        if told(AWAY) == before {
            return (ada, count);
        }
        eventually("Redis counts again", WITHIN_A_SECOND, async || {
            let_in([&ada, &elsewhere]).await;
            told(BACK) == told(AWAY)
        })
        .await;
    }
    panic!("Redis is too slow every time");
}

async fn of_two_replicas(setup: Setup) -> usize {
    let [here, there] = limited(setup).replicas().await;
    counted([&here, &there]).await.1
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

/// Each part has a second to answer: where the machine is slow, it is asked again.
async fn healthy_and(server: &Server, cache: &str) {
    eventually(&format!("Redis is {cache}"), WITHIN_A_SECOND, async || {
        let health = server.client().get("/health").await;
        health.status == 200 && health.json()["cache"] == cache
    })
    .await;
}

#[tokio::test]
async fn without_redis_log_ins_are_limited_here_and_the_rest_is_open() {
    let server = limited(Setup::on(Engine::Sqlite).with_own_redis()).start().await;
    let (ada, count) = counted([&server, &server]).await;
    assert_eq!(count, 6);
    healthy_and(&server, "connected").await;

    server.site.redis().stop().await;

    healthy_and(&server, "unavailable").await;
    assert_eq!(let_in([&ada, &ada]).await, 12);
    for expected in [401, 401, 401, 429, 429] {
        assert_eq!(log_in_fails(&server).await, expected);
    }

    server.site.redis().start_again().await;
    let is_limited = async || me(&ada).await.status == 429;
    eventually("it counts again", 3 * WITHIN_A_SECOND, is_limited).await;
    healthy_and(&server, "connected").await;
}
