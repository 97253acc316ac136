//! How much one may ask for: as a user, from an address, on one server and on several.

mod proxies;
mod redis;
mod sockets;
mod streams;

use futures::future::join_all;
use repartee_tests::server::{Answer, Client, Setup};
use reqwest::Method;
use serde_json::json;

use crate::support::{
    PASSWORD, address, conversation, id_of, log_in, on_both_databases, socket, somebody, text,
};

const PER_MINUTE: &str = "REPARTEE__LIMITS__REQUESTS_PER_MINUTE";
pub(crate) const PER_HOUR: &str = "REPARTEE__LIMITS__REQUESTS_PER_HOUR";
pub(crate) const LOG_INS: &str = "REPARTEE__LIMITS__LOGIN_PER_MINUTE";
const REGISTRATIONS: &str = "REPARTEE__LIMITS__REGISTER_PER_HOUR";

on_both_databases!(
    a_user_has_so_many_requests_a_minute_whatever_they_come_with,
    a_user_has_so_many_requests_an_hour,
    of_many_requests_at_once_no_more_than_the_limit_are_let_in,
    log_ins_and_registrations_are_fewer,
    frames_that_send_are_counted,
    whoever_is_refused_may_still_ask_whether_the_server_is_well,
);

pub(crate) async fn me(client: &Client) -> Answer {
    client.get("/api/v1/users/me").await
}

fn seconds(answer: &Answer) -> u64 {
    answer.header("retry-after").parse().unwrap()
}

async fn a_user_has_so_many_requests_a_minute_whatever_they_come_with(setup: Setup) {
    let server = setup.with(PER_MINUTE, "5").with(PER_HOUR, "1000").start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let other_device = log_in(&server, "ada").await;
    let elsewhere = server.client().with_token(text(&other_device["access_token"]));

    let first = me(&ada).await;
    first.expect(200);
    for (name, value) in [
        ("ratelimit-policy", "\"minute\";q=5;w=60, \"hour\";q=1000;w=3600"),
        ("ratelimit", "\"minute\";r=4;t=12"),
        ("x-ratelimit-limit", "5"),
        ("x-ratelimit-remaining", "4"),
        ("x-ratelimit-reset", "12"),
    ] {
        assert_eq!(first.header(name), value, "{name}");
    }
    for client in [&elsewhere, &ada, &elsewhere, &ada] {
        me(client).await.expect(200);
    }

    for client in [&ada, &elsewhere] {
        let refused = me(client).await;
        refused.problem(429, "rate_limited");
        assert!((1..=12).contains(&seconds(&refused)), "{}", seconds(&refused));
        assert_eq!(refused.header("x-ratelimit-remaining"), "0");
        assert!(refused.header("ratelimit").starts_with("\"minute\";r=0;t="));
        assert_eq!(refused.header("x-should-retry"), "");
    }
    me(&grace).await.expect(200);
}

async fn a_user_has_so_many_requests_an_hour(setup: Setup) {
    let server = setup.with(PER_HOUR, "4").start().await;
    let ada = somebody(&server, "ada").await;
    for _ in 0..4 {
        let answer = me(&ada).await;
        answer.expect(200);
        assert_eq!(answer.header("ratelimit-policy"), "\"hour\";q=4;w=3600");
    }

    let refused = me(&ada).await;

    refused.problem(429, "rate_limited");
    assert!((800..=900).contains(&seconds(&refused)), "{}", seconds(&refused));
}

async fn of_many_requests_at_once_no_more_than_the_limit_are_let_in(setup: Setup) {
    let server = setup.with(PER_HOUR, "20").start().await;
    let ada = somebody(&server, "ada").await;

    let answers = join_all((0..60).map(|_| me(&ada))).await;

    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(429)), (20, 40));
}

async fn log_ins_and_registrations_are_fewer(setup: Setup) {
    let server = setup.with(LOG_INS, "3").with(REGISTRATIONS, "1").start().await;
    let ada = somebody(&server, "ada").await;
    let client = server.client();
    let body = json!({"email": address("grace"), "password": PASSWORD});
    let refused = client.post("/api/v1/auth/register", &body).await;
    refused.problem(429, "rate_limited");
    assert!((3_000..=3_600).contains(&seconds(&refused)), "{}", seconds(&refused));

    let wrong = json!({"email": address("nobody"), "password": "wrong"});
    for _ in 0..3 {
        client.post("/api/v1/auth/login", &wrong).await.problem(401, "wrong_credentials");
    }
    let refused = client.post("/api/v1/auth/login", &wrong).await;
    refused.problem(429, "rate_limited");
    assert_eq!(refused.header("ratelimit-policy"), "\"login\";q=3;w=60");
    me(&ada).await.expect(200);
}

async fn frames_that_send_are_counted(setup: Setup) {
    let server = setup.with(PER_HOUR, "5").start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let mut socket = socket(&ada).await;
    let message = json!({"conversation_id": id_of(&conversation), "content": "x"});
    // The conversation, the look at oneself and the socket were three requests.
    for _ in 0..2 {
        socket.send("send_message", message.clone()).await;
        socket.wait_for("message_completed").await;
    }

    socket.send("send_message", message.clone()).await;
    let error = socket.wait_for("error").await;
    assert_eq!(text(&error.data["code"]), "rate_limited", "{error:?}");
    socket.send("start_conversation", json!({})).await;
    assert_eq!(text(&socket.wait_for("error").await.data["code"]), "rate_limited");
    socket.send("ping", json!({})).await;
    socket.wait_for("pong").await;
    me(&ada).await.problem(429, "rate_limited");
}

async fn whoever_is_refused_may_still_ask_whether_the_server_is_well(setup: Setup) {
    let server = setup.with(PER_HOUR, "1").start().await;
    let ada = somebody(&server, "ada").await;
    // Ten for the address, of which the registration was one.
    for _ in 0..9 {
        me(&ada).await;
    }
    me(&ada).await.problem(429, "rate_limited");
    server.client().get("/nowhere").await.problem(429, "rate_limited");

    for path in ["/health", "/health/ready", "/openapi.json", "/"] {
        let answer = Answer::to(server.client().request(Method::GET, path)).await;
        assert_eq!((answer.status, answer.header("ratelimit")), (200, ""), "{path}");
    }
}
