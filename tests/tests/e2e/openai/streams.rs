//! `POST /v1/chat/completions`, streamed.

use std::time::{Duration, Instant};

use repartee_tests::server::{Answer, Engine, Setup};
use reqwest::Method;
use serde_json::{Value, json};

use super::{COMPLETIONS, complete, question};
use crate::support::{somebody, words};

/// The chunks of a stream, and whether it says that it is over.
fn chunks(answer: &Answer) -> (Vec<Value>, bool) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let text = answer.text();
    let mut data: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let is_done = data.pop_if(|last| *last == "[DONE]").is_some();
    (data.into_iter().map(|data| serde_json::from_str(data).unwrap()).collect(), is_done)
}

fn said(chunks: &[Value]) -> String {
    let deltas = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["content"]);
    deltas.filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn chunks_come_with_one_id_and_end_with_reason_usage_and_done() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let streamed = json!({"stream": true, "stream_options": {"include_usage": true}});

    let (chunks, is_done) = chunks(&complete(&ada, "mock-5-1", streamed).await);

    assert!(is_done);
    assert_eq!(said(&chunks), words(5));
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    for chunk in &chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!((&chunk["id"], &chunk["model"]), (&chunks[0]["id"], &json!("mock-5-1")));
    }
    let [.., last, usage] = &chunks[..] else { panic!("{chunks:?}") };
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!((&usage["choices"], &usage["usage"]["completion_tokens"]), (&json!([]), &json!(5)));
}

#[tokio::test]
async fn calls_of_tools_are_streamed_as_they_came() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let tools = json!([{"type": "function", "function": {"name": "weather"}}]);

    let answer = complete(&ada, "mock-tools", json!({"stream": true, "tools": tools})).await;

    let (chunks, is_done) = chunks(&answer);
    assert!(is_done);
    let arguments: String = chunks
        .iter()
        .filter_map(|c| c["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str())
        .collect();
    assert_eq!(arguments, "{\"city\": \"Oslo\"}");
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()), "nobody asked for it");
}

#[tokio::test]
async fn what_breaks_before_the_first_chunk_is_a_status_and_later_an_event() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let streamed = json!({"stream": true});
    let whole = complete(&ada, "mock-500:whole", streamed.clone()).await;
    whole.openai_error(502, "server_error", "model_failed");

    let (chunks, is_done) = chunks(&complete(&ada, "mock-cut", streamed).await);

    assert!(!is_done);
    let (error, before) = chunks.split_last().expect("chunks");
    assert_eq!(said(before), words(8));
    assert_eq!(error["error"]["type"], "server_error");
    assert_eq!(error["error"]["code"], "model_failed");
    let refused = complete(&ada, "mock-cut", json!({})).await;
    refused.openai_error(502, "server_error", "model_failed");
}

#[tokio::test]
async fn who_goes_away_stops_the_model_within_a_second() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    for (aborted, model, streams) in
        [(1, "mock-hangmid", true), (2, "mock-hang", true), (3, "mock-hangmid", false)]
    {
        let body = question(model, &json!({"stream": streams}));
        let request = ada.request(Method::POST, COMPLETIONS).json(&body);
        let asking = tokio::time::timeout(Duration::from_millis(300), async {
            let mut answer = request.send().await.unwrap();
            while answer.chunk().await.unwrap().is_some() {}
        });
        assert!(asking.await.is_err(), "{model} goes on for ever");
        let gone = Instant::now();

        assert!(server.upstream().reaches(|stats| stats.aborted == aborted).await, "{model}");
        assert!(gone.elapsed() < Duration::from_secs(1), "{model}: {:?}", gone.elapsed());
    }
}
