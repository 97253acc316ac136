//! The bytes of an event stream.

use repartee_tests::server::{Answer, Engine, Setup};
use reqwest::{Method, header::ACCEPT};
use serde_json::json;

use crate::support::{conversation, somebody, text, words};

#[tokio::test]
async fn a_stream_is_framed_as_the_contract_has_it() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let request = ada
        .request(Method::POST, &format!("{conversation}/messages"))
        .header(ACCEPT, "text/event-stream")
        .header("Accept-Encoding", "gzip, br, zstd, deflate")
        .json(&json!({"content": "Hello", "model": "mock-5-20"}));

    let answer = Answer::to(request).await;

    answer.expect(200);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.header("cache-control"), "no-cache, no-transform");
    assert_eq!(answer.header("x-accel-buffering"), "no");
    assert_eq!(answer.header("content-encoding"), "");
    assert_eq!(answer.header("content-length"), "");
    let stream = answer.text();
    let events = stream.strip_prefix(": ping\nretry: 3000\n\n").expect("the preamble");
    let frames: Vec<_> = events.split_terminator("\n\n").collect();
    let start: serde_json::Value =
        serde_json::from_str(frames[0].split_once("data: ").unwrap().1).unwrap();
    let generation = text(&start["generation_id"]);
    let mut written = String::new();
    for (frame, number) in frames.iter().zip(1..) {
        let name = match number {
            1 => "start",
            last if last == frames.len() => "done",
            _ => "delta",
        };
        let head = format!("id: {generation}:{number}\nevent: {name}\ndata: ");
        let data = frame.strip_prefix(&head).unwrap_or_else(|| panic!("{head}: {frame}"));
        assert!(data.starts_with('{') && data.lines().count() == 1, "{frame}");
        if name == "delta" {
            let value: serde_json::Value = serde_json::from_str(data).unwrap();
            let added = text(&value["text"]);
            assert_eq!(data, format!("{{\"text\":\"{added}\"}}"));
            written.push_str(added);
        }
    }
    // Words that arrive together are one event: how many there are is the machine's to say.
    assert_eq!(written, words(5));
    assert!(stream.ends_with("}\n\n"));
}

#[tokio::test]
async fn a_reply_with_every_kind_of_line_end_stays_one_event_a_word() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let content = "one\r\ntwo\n\nthree\r\u{2028}four \u{85}data: x\nevent: done";
    let body = json!({"content": content, "model": "mock-echo"});
    let events = ada.stream(&format!("{conversation}/messages"), &body).await.rest().await;
    crate::support::assert_whole(&events);
    assert_eq!(crate::support::written(&events), content);
}

#[tokio::test]
async fn the_first_event_comes_before_the_model_says_anything() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let conversation = conversation(&ada).await;
    let body = json!({"content": "Hello?", "model": "mock-hang"});

    let mut events = ada.stream(&format!("{conversation}/messages"), &body).await;

    let start = events.next().await;
    assert_eq!((&*start.name, start.seq()), ("start", 1));
    assert_eq!(server.upstream().stats().finished, 0);
}
