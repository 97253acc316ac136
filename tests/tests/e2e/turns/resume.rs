//! Going on where one stopped reading.

use futures::future::join_all;
use repartee_tests::server::{Answer, Client, Setup};
use reqwest::{Method, header::ACCEPT};
use serde_json::json;

use crate::support::{assert_whole, conversation, generation_of, on_both_databases, somebody};

const PREAMBLE: &str = ": ping\nretry: 3000\n\n";

on_both_databases!(
    a_reply_resumes_at_every_cut_point_to_the_byte,
    a_running_reply_resumes_at_every_cut_point,
    a_reply_resumes_from_another_process,
    what_cannot_be_resumed_is_not_there,
);

/// A finished reply: its path, and each of its events as it was sent.
async fn finished(client: &Client, model: &str) -> (String, Vec<String>) {
    let conversation = conversation(client).await;
    let request = client
        .request(Method::POST, &format!("{conversation}/messages"))
        .header(ACCEPT, "text/event-stream")
        .json(&json!({"content": "Hello", "model": model}));
    let stream = Answer::to(request).await.text();
    let frames = stream.strip_prefix(PREAMBLE).expect("the preamble");
    let frames: Vec<_> = frames.split_inclusive("\n\n").map(str::to_owned).collect();
    let id = frames[0].lines().next().unwrap().strip_prefix("id: ").unwrap();
    (format!("/api/v1/generations/{}", id.split_once(':').unwrap().0), frames)
}

/// The id that a reader has after so many frames.
fn id_after(generation: &str, frames: usize) -> String {
    format!("{}:{frames}", generation.rsplit_once('/').unwrap().1)
}

async fn resumed(client: &Client, generation: &str, after: &str) -> Answer {
    let request = client.request(Method::GET, &format!("{generation}/events"));
    Answer::to(request.header("Last-Event-ID", after)).await
}

async fn assert_every_cut_point(client: &Client, generation: &str, frames: &[String]) {
    for cut in 0..frames.len() {
        let answer = resumed(client, generation, &id_after(generation, cut)).await;
        answer.expect(200);
        assert_eq!(answer.text(), format!("{PREAMBLE}{}", frames[cut..].concat()), "{cut}");
    }
    for after in [frames.len(), frames.len() + 1, 1_000_000] {
        let answer = resumed(client, generation, &id_after(generation, after)).await;
        answer.expect(204);
        assert_eq!(answer.text(), "");
    }
}

async fn a_reply_resumes_at_every_cut_point_to_the_byte(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    for model in ["mock-12-6", "mock-cut", "mock-1-0"] {
        let (generation, frames) = finished(&ada, model).await;
        assert_every_cut_point(&ada, &generation, &frames).await;

        let whole = ada.get(&format!("{generation}/events")).await.text();
        assert_eq!(whole, format!("{PREAMBLE}{}", frames.concat()));
        let after = id_after(&generation, 1);
        let query = ada.get(&format!("{generation}/events?last_event_id={after}")).await;
        assert_eq!(query.text(), format!("{PREAMBLE}{}", frames[1..].concat()));
        // An empty one is none, and a browser's header goes before what the page was given.
        let empty = resumed(&ada, &generation, "").await;
        assert_eq!(empty.text(), whole);
        let request = ada
            .request(Method::GET, &format!("{generation}/events?last_event_id={after}"))
            .header("Last-Event-ID", id_after(&generation, 2));
        let both = Answer::to(request).await;
        assert_eq!(both.text(), format!("{PREAMBLE}{}", frames[2..].concat()));
        let token = ada.token.clone().unwrap();
        let path = format!("{generation}/events?token={token}");
        assert_eq!(ada.without_token().get(&path).await.text(), whole);
    }
}

async fn a_running_reply_resumes_at_every_cut_point(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let body = json!({"content": "Slowly", "model": "mock-20-20"});
    let mut stream = ada.stream(&format!("{conversation}/messages"), &body).await;
    let start = stream.next().await;
    let path = format!("{}/events", generation_of(&start));
    let mut events = vec![start];
    let mut readers = Vec::new();
    while !events.last().is_some_and(repartee_tests::server::Event::is_terminal) {
        let id = &events.last().unwrap().id;
        readers.push(ada.resume(&path, Some(id)).await);
        events.push(stream.next().await);
    }
    assert_whole(&events);

    let rests = join_all(readers.into_iter().map(repartee_tests::server::Events::rest)).await;

    assert_eq!(rests.len(), events.len() - 1);
    for (rest, cut) in rests.iter().zip(1..) {
        assert_eq!(rest, &events[cut..], "{cut}");
    }
}

async fn a_reply_resumes_from_another_process(setup: Setup) {
    let mut server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (generation, frames) = finished(&ada, "mock-12-6").await;

    server.restart().await;

    let ada = server.client().with_token(&ada.token.unwrap());
    assert_every_cut_point(&ada, &generation, &frames).await;
}

async fn what_cannot_be_resumed_is_not_there(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let grace = somebody(&server, "grace").await;
    let (generation, _) = finished(&ada, "mock-2-0").await;
    let (other, _) = finished(&ada, "mock-2-0").await;
    let unknown = "/api/v1/generations/01939c2e-7b9a-7000-8000-000000000000";

    resumed(&grace, &generation, &id_after(&generation, 1))
        .await
        .problem(404, "generation_not_found");
    resumed(&grace, &generation, "").await.problem(404, "generation_not_found");
    resumed(&ada, unknown, &id_after(unknown, 1)).await.problem(404, "generation_not_found");
    for nonsense in ["x", "1", ":", ":1", "x:1", "1:x", &id_after(&other, 1)] {
        let answer = resumed(&ada, &generation, nonsense).await;
        answer.problem(404, "generation_not_found");
    }
    for nonsense in ["-1", "18446744073709551616", "1.5", ""] {
        let id = generation.rsplit_once('/').unwrap().1;
        let answer = resumed(&ada, &generation, &format!("{id}:{nonsense}")).await;
        answer.problem(404, "generation_not_found");
    }
}
