//! How many replies are written at once: for one user, and in all.

use futures::future::join_all;
use repartee_tests::server::{Answer, Client, Engine, Event, Events, Setup};
use serde_json::json;

use crate::support::{
    ask, assert_whole, begin, conversation, generation_of, messages, on_both_databases,
    on_replicas, socket, somebody, text,
};

const PER_USER: &str = "REPARTEE__LIMITS__CONCURRENT_GENERATIONS";
const IN_ALL: &str = "REPARTEE__LIMITS__TOTAL_GENERATIONS";

on_both_databases!(
    a_users_fourth_reply_at_once_is_refused,
    of_many_sends_at_once_no_more_than_the_limit_begin,
);
on_replicas!(the_limit_counts_replies_at_every_replica);

async fn cancelled(client: &Client, events: &Event) {
    let path = format!("{}/cancel", generation_of(events));
    client.post(&path, &json!({})).await.expect(200);
}

async fn a_users_fourth_reply_at_once_is_refused(setup: Setup) {
    let server = setup.with(PER_USER, "3").start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let mut running = Vec::new();
    for _ in 0..3 {
        let mut stream = begin(&ada, &conversation(&ada).await, "mock-hang").await;
        running.push((stream.next().await, stream));
    }
    let fourth = conversation(&ada).await;

    let refused = ask(&ada, &fourth, "One more", "mock-1-0").await;
    refused.problem(429, "too_many_generations");
    assert!(refused.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
    assert_eq!(begin(&ada, &fourth, "mock-1-0").await.status, 429);
    let mut socket = socket(&ada).await;
    let body = json!({"conversation_id": crate::support::id_of(&fourth), "content": "x"});
    socket.send("send_message", body).await;
    assert_eq!(text(&socket.wait_for("error").await.data["code"]), "too_many_generations");
    assert_eq!(messages(&ada, &fourth).await.len(), 0);
    // What only is stored needs no model, and others have three of their own.
    let note = json!({"content": "A note", "reply": false});
    let stored = ada.post(&format!("{fourth}/messages"), &note).await;
    assert!((200..300).contains(&stored.status));
    ask(&grace, &conversation(&grace).await, "Me too", "mock-1-0").await.expect(200);

    cancelled(&ada, &running[0].0).await;
    ask(&ada, &fourth, "Now?", "mock-1-0").await.expect(200);
}

/// Of twelve sends at the same time, by any of `clients`, three begin.
async fn assert_three_begin(clients: &[Client]) {
    let ada = &clients[0];
    let open = join_all((0..12).map(|_| conversation(ada))).await;
    let sends = open.iter().zip(clients.iter().cycle());
    let streams: Vec<Events> =
        join_all(sends.map(|(path, client)| begin(client, path, "mock-hang"))).await;
    let statuses: Vec<u16> = streams.iter().map(|stream| stream.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 3, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    for mut stream in streams {
        if stream.status == 200 {
            cancelled(ada, &stream.next().await).await;
        }
    }
    let answers: Vec<Answer> =
        join_all(open.iter().take(3).map(|path| ask(ada, path, "Now?", "mock-1-0"))).await;
    for answer in answers {
        answer.expect(200);
    }
}

async fn of_many_sends_at_once_no_more_than_the_limit_begin(setup: Setup) {
    let server = setup.with(PER_USER, "3").start().await;
    assert_three_begin(&[somebody(&server, "ada").await]).await;
}

async fn the_limit_counts_replies_at_every_replica(setup: Setup) {
    let [here, there] = setup.with(PER_USER, "3").replicas().await;
    let ada = somebody(&here, "ada").await;
    let elsewhere = there.client().with_token(ada.token.as_deref().unwrap());
    assert_three_begin(&[ada, elsewhere]).await;
}

#[tokio::test]
async fn what_is_too_much_in_all_waits_its_turn_and_users_take_turns() {
    let setup = Setup::on(Engine::Sqlite).with(PER_USER, "10").with(IN_ALL, "1");
    let server = setup.start().await;
    let (ada, grace) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let mut replies = Vec::new();
    let mut first = None;
    // Ada asks five times before Grace asks twice.
    for (name, client) in [&ada, &ada, &ada, &ada, &ada, &grace, &grace].into_iter().enumerate() {
        let model = if name == 0 { "mock-hang" } else { "mock-3-5" };
        let model = format!("{model}:{name}");
        let mut stream = begin(client, &conversation(client).await, &model).await;
        let start = stream.next().await;
        assert_eq!(start.name, "start", "at once, however long it has to wait");
        if name == 0 {
            first = Some((start, stream));
            assert!(server.upstream().reaches(|stats| stats.open == 1).await);
            continue;
        }
        let queued = stream.next().await;
        assert_eq!(queued.name, "queued");
        assert!(queued.json()["position"].as_u64() >= Some(1), "{queued:?}");
        if name == 1 {
            assert_eq!(queued.json()["position"], 1);
        }
        let state = client.get(&generation_of(&start)).await.expect(200)["state"].clone();
        assert_eq!(state, "queued");
        replies.push(stream);
    }
    assert_eq!(server.upstream().stats().requests, 1, "nobody else's turn yet");
    let (start, stream) = first.unwrap();
    cancelled(&ada, &start).await;
    assert_eq!(stream.rest().await.last().unwrap().name, "cancelled");

    for events in join_all(replies.into_iter().map(Events::rest)).await {
        assert_eq!(events.last().unwrap().name, "done");
        assert_eq!(events.iter().filter(|event| event.is_terminal()).count(), 1);
    }
    let asked = server.upstream().requests();
    let order: Vec<_> =
        asked.iter().filter_map(|request| request.model().split_once(':')).collect();
    assert_eq!(order.len(), 7, "{order:?}");
    let place =
        |name: usize| order.iter().position(|(_, other)| *other == name.to_string()).unwrap();
    assert!(place(5) < place(3), "Grace's first before Ada's fourth: {order:?}");
    assert!(place(6) < place(4), "Grace's second before Ada's last: {order:?}");
    // One may have been asked for before the upstream noticed that the one before was over.
    assert!(server.upstream().stats().max_open <= 2);
}

#[tokio::test]
async fn a_reply_that_waits_is_cancelled_without_asking_anybody() {
    let server = Setup::on(Engine::Sqlite).with(IN_ALL, "1").start().await;
    let ada = somebody(&server, "ada").await;
    let mut first = begin(&ada, &conversation(&ada).await, "mock-hang").await;
    let running = first.next().await;
    assert!(server.upstream().reaches(|stats| stats.open == 1).await);
    let waiting = conversation(&ada).await;
    let mut stream = begin(&ada, &waiting, "mock-4-0").await;
    let mut events = stream.take(2).await;
    assert_eq!(events[1].name, "queued");

    cancelled(&ada, &events[0]).await;

    events.extend(stream.rest().await);
    let end = events.last().unwrap();
    assert_eq!((&*end.name, &end.json()["message"]["content"]), ("cancelled", &json!("")));
    assert_eq!(server.upstream().stats().requests, 1);
    cancelled(&ada, &running).await;
    let events = begin(&ada, &waiting, "mock-4-0").await.rest().await;
    assert_whole(&events);
}
