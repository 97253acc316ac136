//! How many streams may be open at once.

use repartee_tests::server::{Client, Engine, Setup};

use crate::support::{
    WITHIN_A_SECOND, ask, begin, conversation, eventually, messages, socket, somebody,
};

const PER_USER: &str = "REPARTEE__LIMITS__STREAMS_PER_USER";
const PER_ADDRESS: &str = "REPARTEE__LIMITS__STREAMS_PER_ADDRESS";
const FEED: &str = "/api/v1/events";

async fn refused(client: &Client) {
    let answer = client.get(FEED).await;
    answer.problem(429, "too_many_streams");
    assert_eq!(answer.header("retry-after"), "5");
}

#[tokio::test]
async fn a_user_has_so_many_streams_and_each_makes_room_when_it_closes() {
    let server = Setup::on(Engine::Sqlite).with(PER_USER, "2").start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let path = conversation(&ada).await;
    let first = ada.feed(FEED, None).await;
    let _second = ada.feed(FEED, None).await;

    refused(&ada).await;
    assert_eq!(begin(&ada, &path, "mock-3-0").await.status, 429);
    assert!(messages(&ada, &path).await.is_empty(), "nothing is stored that nobody could read");
    ask(&ada, &path, "Whole?", "mock-3-0").await.expect(200);
    let _others = grace.feed(FEED, None).await;

    drop(first);
    let is_free = async || begin(&ada, &path, "mock-3-0").await.status == 200;
    eventually("a place is free again", WITHIN_A_SECOND, is_free).await;
}

#[tokio::test]
async fn an_address_has_so_many_streams_and_sockets() {
    let server = Setup::on(Engine::Sqlite).with(PER_ADDRESS, "2").start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let _stream = ada.feed(FEED, None).await;
    let _socket = socket(&grace).await;

    refused(&ada).await;
    refused(&grace).await;
}
