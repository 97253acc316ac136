//! What happens when Redis loses what it has, hangs, vanishes and comes back.

use std::time::{Duration, Instant};

use futures::FutureExt;
use repartee_application::ports::{CacheProbe, EventStream, GenerationLog};
use repartee_domain::GenerationId;
use repartee_infrastructure::redis::Redis;

use crate::{
    logs::{
        Process, a_new_reply_gets_through, all, begun, end, next, numbers, rest, subscribe, write,
    },
    server::{Front, Server, connect, eventually, soon},
};

/// A reply that A writes, and what B reads of it, after the tenth event.
async fn midstream(server: &Server) -> (Process, Process, GenerationId, EventStream) {
    let (a, b) = (Process::start(&server.url()).await, Process::start(&server.url()).await);
    let id = begun(&*a.log);
    write(&*a.log, id, 1, 10);
    let mut reader = subscribe(&*b.log, id, 0).await;
    for seq in 1..=10 {
        assert_eq!(next(&mut reader).await.seq, seq);
    }
    (a, b, id, reader)
}

#[tokio::test]
async fn everything_lost_ends_the_reading_without_an_end() {
    let server = Server::start().await;
    let (a, b, id, reader) = midstream(&server).await;

    server.command(&["FLUSHALL"]).await;
    write(&*a.log, id, 11, 19);
    end(&*a.log, id, 20);

    let seen = numbers(&rest(reader).await);
    assert_eq!(seen, all(11, 10 + seen.len() as u64));
    assert_eq!(numbers(&rest(subscribe(&*a.log, id, 0).await).await), all(1, 20));
    assert!(b.log.subscribe(id, 0).await.unwrap().is_none());
    a_new_reply_gets_through(&a, &b).await;
}

#[tokio::test]
async fn a_reply_that_is_lost_with_its_end_leaves_nobody_waiting() {
    let server = Server::start().await;
    let (a, _b, _, reader) = midstream(&server).await;

    server.command(&["FLUSHALL"]).await;
    a.stop().await;

    assert!(rest(reader).await.is_empty());
}

#[tokio::test]
async fn a_server_that_is_gone_ends_the_reading_and_holds_no_writer_up() {
    let mut server = Server::start().await;
    let (a, b, id, reader) = midstream(&server).await;

    server.kill();
    let began = Instant::now();
    write(&*a.log, id, 11, 9_999);
    end(&*a.log, id, 10_000);
    assert!(began.elapsed() < Duration::from_secs(10), "appending does not wait");

    assert!(rest(reader).await.is_empty());
    assert_eq!(rest(subscribe(&*a.log, id, 0).await).await.len(), 10_000);
    assert!(soon(b.log.subscribe(id, 0)).await.unwrap().is_none());
    assert!(soon(b.log.left_behind(id, 0)).await.is_err());

    server.start_again().await;
    a_new_reply_gets_through(&a, &b).await;
}

#[tokio::test]
async fn a_server_that_hangs_ends_the_reading() {
    let server = Server::start().await;
    let (a, b, id, reader) = midstream(&server).await;

    server.hang();
    write(&*a.log, id, 11, 12);

    assert!(rest(reader).await.is_empty());
    assert!(b.log.subscribe(id, 0).now_or_never().unwrap().unwrap().is_none(), "at once");
    server.go_on();
    a_new_reply_gets_through(&a, &b).await;
}

#[tokio::test]
async fn a_connection_that_breaks_is_not_noticed() {
    let server = Server::start().await;
    let (a, _b, id, reader) = midstream(&server).await;

    server.command(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    write(&*a.log, id, 11, 99);
    end(&*a.log, id, 100);

    assert_eq!(numbers(&rest(reader).await), all(11, 100));
}

/// Two processes, and two servers at one address, of which the first becomes a replica. It keeps
/// its connections, and hears nothing of what is told to the second.
struct FailOver {
    old: Server,
    new: Server,
    front: Front,
    a: Process,
    b: Process,
}

impl FailOver {
    /// The old server goes on to answer what it has, or not.
    async fn of(serves_stale: &str) -> Self {
        let (old, new) = (Server::start().await, Server::start().await);
        let front = Front::of(&old).await;
        let (a, b) = (Process::start(&front.url()).await, Process::start(&front.url()).await);
        a_new_reply_gets_through(&a, &b).await;
        old.command(&["CONFIG", "SET", "replica-serve-stale-data", serves_stale]).await;
        Self { old, new, front, a, b }
    }

    /// While both wait for something to read, which the server ends.
    async fn demote(&self) {
        self.old.waits_for(2).await;
        self.old.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    }

    async fn is_got_over(&self) {
        a_new_reply_gets_through(&self.a, &self.b).await;
        a_new_reply_gets_through(&self.b, &self.a).await;
    }
}

#[tokio::test]
async fn a_server_that_became_a_replica_is_left() {
    let servers = FailOver::of("yes").await;
    servers.front.turn_to(&servers.new);
    servers.demote().await;
    servers.is_got_over().await;
}

#[tokio::test]
async fn a_replica_that_answers_nothing_is_left() {
    let servers = FailOver::of("no").await;
    servers.front.turn_to(&servers.new);
    servers.demote().await;
    servers.is_got_over().await;
}

#[tokio::test]
async fn a_replica_is_left_when_its_address_gets_another_server_later() {
    let servers = FailOver::of("yes").await;
    servers.demote().await;
    servers.old.waits_for(2).await;
    servers.front.turn_to(&servers.new);
    servers.is_got_over().await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_server_that_is_gone() {
    let mut server = Server::start().await;
    let (a, _b, id, _reader) = midstream(&server).await;

    server.kill();
    write(&*a.log, id, 11, 5_000);

    let began = Instant::now();
    a.stop().await;
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_probe_says_whether_redis_answers() {
    let mut server = Server::start().await;
    let redis = connect(&server.url()).await;
    eventually(async || redis.is_reachable().await.then_some(())).await;

    // It is found the first time it is asked. It has a second to answer, which is not always enough
    // where the machine is slow: then all of it is done again.
    eventually(async || {
        server.kill();
        assert!(!redis.is_reachable().await);
        server.start_again().await;
        redis.is_reachable().await.then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_password() {
    let mut server = Server::start().await;
    server.kill();
    let url = server.url().replace("redis://", "redis://me:hunter2@");

    let error = Redis::connect(&url.as_str().into()).await.err().unwrap();

    let address = server.url().replace("redis://", "");
    assert_eq!(error.to_string(), format!("Redis cannot be reached at {address}"));
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_wrong_password_is_named_without_it() {
    let server = Server::start().await;
    server.command(&["CONFIG", "SET", "requirepass", "right"]).await;
    let url = server.url().replace("redis://", "redis://:hunter2@");

    let error = Redis::connect(&url.as_str().into()).await.err().unwrap();

    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.to_lowercase().contains("password"), "{cause}");
    assert!(!cause.contains("hunter2") && !format!("{error:?}").contains("hunter2"));
}
