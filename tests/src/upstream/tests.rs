//! The models, asked over HTTP.

use std::time::Instant;

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    chat::{Prepare, Question},
    plan::Behaviour,
    playback::Playback,
    record::OpenReply,
    *,
};

async fn ask(upstream: &Upstream, body: Value) -> reqwest::Response {
    let url = format!("{}/v1/chat/completions", upstream.base_url());
    reqwest::Client::new().post(url).json(&body).send().await.unwrap()
}

async fn ask_whole(upstream: &Upstream, model: &str) -> reqwest::Response {
    ask(upstream, json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]})).await
}

async fn ask_streamed(upstream: &Upstream, model: &str) -> reqwest::Response {
    let body = json!({"model": model, "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "Hi"}]});
    ask(upstream, body).await
}

/// The chunks of a stream, without `[DONE]`.
fn chunks(stream: &str) -> Vec<Value> {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn text(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

fn numbered(count: usize) -> String {
    let words: Vec<_> = (0..count).map(|n| format!("tok~{n}~ ")).collect();
    words.concat()
}

#[tokio::test]
async fn a_stream_has_every_word_a_reason_the_usage_and_an_end() {
    let upstream = Upstream::start().await;
    let stream = ask_streamed(&upstream, "mock-20-1").await.text().await.unwrap();
    let chunks = chunks(&stream);
    assert_eq!(text(&chunks), numbered(20));
    assert_eq!(chunks[chunks.len() - 2]["choices"][0]["finish_reason"], "stop");
    assert_eq!(chunks[chunks.len() - 1]["usage"]["completion_tokens"], 20);
    assert!(stream.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_tool_is_called_and_what_it_answers_is_told() {
    let upstream = Upstream::start().await;
    let with = |messages: Value| {
        json!({"model": "mock-tools", "stream": true, "messages": messages,
            "tools": [{"type": "function", "function": {"name": "weather"}}]})
    };
    let question = json!({"role": "user", "content": "Hi"});
    let stream = ask(&upstream, with(json!([question]))).await.text().await.unwrap();
    let chunks = chunks(&stream);
    let call = |n: usize| chunks[n]["choices"][0]["delta"]["tool_calls"][0]["function"].clone();
    assert_eq!(call(1), json!({"name": "weather", "arguments": "{\"city\":"}));
    assert_eq!(call(2), json!({"arguments": " \"Oslo\"}"}));
    assert_eq!(chunks[3]["choices"][0]["finish_reason"], "tool_calls");

    let result = json!({"role": "tool", "tool_call_id": "call_scripted", "content": "It snows."});
    let stream = ask(&upstream, with(json!([question, result]))).await.text().await.unwrap();
    assert_eq!(text(&self::chunks(&stream)), "It snows.");
}

#[tokio::test]
async fn usage_comes_only_where_it_was_asked_for() {
    let upstream = Upstream::start().await;
    let body = json!({"model": "mock-2-0", "stream": true, "messages": []});
    let plain = ask(&upstream, body).await.text().await.unwrap();
    let never = ask_streamed(&upstream, "mock-nousage").await.text().await.unwrap();
    assert!(!plain.contains("\"usage\"") && !never.contains("\"usage\""));
}

#[tokio::test]
async fn a_whole_reply_takes_as_long_as_its_stream_would() {
    let upstream = Upstream::start().await;
    let asked = Instant::now();
    let reply: Value = ask_whole(&upstream, "mock-6-10").await.json().await.unwrap();
    assert!(asked.elapsed() >= Duration::from_millis(50));
    assert_eq!(reply["choices"][0]["message"]["content"], numbered(6));
    assert_eq!(reply["usage"]["completion_tokens"], 6);
}

#[tokio::test]
async fn echo_and_count_answer_to_the_messages() {
    let upstream = Upstream::start().await;
    let messages = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Say \"ü\"\n"}]},
        {"role": "assistant", "content": "…"},
    ]);
    let echo: Value = ask(&upstream, json!({"model": "mock-echo", "messages": messages}))
        .await
        .json()
        .await
        .unwrap();
    let count: Value = ask(&upstream, json!({"model": "mock-count", "messages": messages}))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(echo["choices"][0]["message"]["content"], "Say \"ü\"\n");
    assert_eq!(count["choices"][0]["message"]["content"], "3 messages: system user assistant");
}

#[tokio::test]
async fn an_empty_reply_is_still_a_reply() {
    let upstream = Upstream::start().await;
    let stream = ask_streamed(&upstream, "mock-empty").await.text().await.unwrap();
    assert_eq!(text(&chunks(&stream)), "");
    assert!(stream.contains("\"finish_reason\":\"stop\""));
}

#[tokio::test]
async fn the_first_token_can_be_slow_while_the_head_is_not() {
    let upstream = Upstream::start().await;
    // Its first word comes in an hour.
    let head = ask_streamed(&upstream, "mock-slowfirst-3600000");
    timeout(Duration::from_mins(1), head).await.expect("the head waits for the first word");

    let asked = Instant::now();
    ask_streamed(&upstream, "mock-slowfirst-300").await.chunk().await.unwrap();
    assert!(asked.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn refusals_go_by_the_name() {
    let upstream = Upstream::start().await;
    assert_eq!(ask_whole(&upstream, "mock-418").await.status(), 418);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(ask_whole(&upstream, "mock-429-then-ok").await.status().as_u16());
    }
    assert_eq!(statuses, [429, 200, 429]);
    let refused = ask_whole(&upstream, "mock-503-times-2-after-7").await;
    assert_eq!(refused.headers()["retry-after"], "7");
    assert_eq!(ask_whole(&upstream, "mock-503-times-2-after-7").await.status(), 503);
    assert_eq!(ask_whole(&upstream, "mock-503-times-2-after-7").await.status(), 200);
    assert_eq!(ask_whole(&upstream, "mock-503-times-2-after-7:other").await.status(), 503);
    assert_eq!(ask_whole(&upstream, "gpt-9").await.status(), 404);
}

#[tokio::test]
async fn a_cut_stream_breaks_after_some_words() {
    let upstream = Upstream::start().await;
    let mut response = ask_streamed(&upstream, "mock-cut").await;
    let mut got = Vec::new();
    let broke = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => got.extend_from_slice(&chunk),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broke);
    assert_eq!(text(&chunks(&String::from_utf8(got).unwrap())), numbered(8));
    assert!(ask_whole(&upstream, "mock-cut").await.bytes().await.is_err());
}

#[tokio::test]
async fn errors_and_nonsense_come_in_the_middle() {
    let upstream = Upstream::start().await;
    let broken = ask_streamed(&upstream, "mock-errormid-2").await.text().await.unwrap();
    assert!(broken.contains("tok~1~") && !broken.contains("tok~2~") && !broken.contains("[DONE]"));
    assert!(chunks(&broken).last().unwrap()["error"]["message"].is_string());
    let nonsense = ask_streamed(&upstream, "mock-badjson").await.text().await.unwrap();
    assert!(nonsense.contains("tok~7~") && nonsense.ends_with("\"delta\":\n\n"));
    assert!(ask_whole(&upstream, "mock-badjson").await.json::<Value>().await.is_err());
}

#[tokio::test]
async fn characters_are_cut_by_the_writes() {
    let question = r#"{"model": "mock-utf8", "stream": true}"#;
    let question: Question<'_> = serde_json::from_str(question).unwrap();
    let Some(Behaviour::Reply(plan)) = Behaviour::of(&question.model) else { panic!("a reply") };
    let script = question.reply(&plan, 0, &Prepare::default());
    let mut body = Playback::of(script, OpenReply::new(&Arc::default()));
    let mut cut = 0;
    while let Some(frame) = body.frame().await {
        let write = frame.unwrap().into_data().unwrap();
        cut += usize::from(std::str::from_utf8(&write).is_err());
    }
    assert_eq!(cut, 33, "each of 32 characters, and what is between them and after them");
}

#[tokio::test]
async fn characters_that_were_cut_are_whole_in_the_end() {
    let upstream = Upstream::start().await;
    let stream = ask_streamed(&upstream, "mock-utf8").await.text().await.unwrap();
    let expected: Vec<_> = (0..16).map(|n| format!("tok~{n}~ż🦀 ")).collect();
    assert_eq!(text(&chunks(&stream)), expected.concat());
}

#[tokio::test]
async fn long_words_are_as_long_as_the_name_says() {
    let upstream = Upstream::start().await;
    let stream = ask_streamed(&upstream, "mock-long-3-20").await.text().await.unwrap();
    assert_eq!(
        text(&chunks(&stream)),
        "tok~0~xxxxxxxxxxxxx tok~1~xxxxxxxxxxxxx tok~2~xxxxxxxxxxxxx "
    );
}

#[tokio::test]
async fn other_reasons_other_ends_and_noise() {
    let upstream = Upstream::start().await;
    let length = ask_streamed(&upstream, "mock-length").await.text().await.unwrap();
    assert!(length.contains("\"finish_reason\":\"length\""));
    let endless = ask_streamed(&upstream, "mock-nodone").await.text().await.unwrap();
    assert!(endless.contains("\"finish_reason\":\"stop\"") && !endless.contains("[DONE]"));
    let noisy = ask_streamed(&upstream, "mock-garbage").await.text().await.unwrap();
    assert!(noisy.starts_with(": a comment\r\n"));
    assert_eq!(text(&chunks(&noisy)), numbered(16));
}

#[tokio::test]
async fn a_stamped_word_tells_when_it_left() {
    let upstream = Upstream::start().await;
    let before = stamp::now_us();
    let streamed = ask_streamed(&upstream, "mock-stamped-3-5").await.text().await.unwrap();
    let words = text(&chunks(&streamed));
    let after = stamp::now_us();
    let ages: Vec<u64> = stamp::ages_us(words.as_bytes(), after).collect();
    assert_eq!(ages.len(), 3, "{words}");
    assert!(ages.windows(2).all(|two| two[0] >= two[1]), "{ages:?}");
    assert!(ages.iter().all(|age| *age <= after - before), "{ages:?}");
}

#[tokio::test]
async fn a_client_that_leaves_is_counted() {
    let upstream = Upstream::start().await;
    let mut response = ask_streamed(&upstream, "mock-hangmid").await;
    response.chunk().await.unwrap();
    assert_eq!(upstream.stats().open, 1);
    drop(response);
    assert!(upstream.reaches(|stats| stats.aborted == 1 && stats.open == 0).await);

    tokio::select! {
        answer = ask_whole(&upstream, "mock-hang") => panic!("it answers: {answer:?}"),
        arrived = upstream.reaches(|stats| stats.open == 1) => assert!(arrived),
    }
    assert!(upstream.reaches(|stats| stats.aborted == 2 && stats.open == 0).await);
}

#[tokio::test]
async fn a_reply_that_was_sent_is_finished() {
    let upstream = Upstream::start().await;
    ask_whole(&upstream, "mock-4-0").await.bytes().await.unwrap();
    ask_streamed(&upstream, "mock-4-1").await.bytes().await.unwrap();
    assert!(upstream.reaches(|stats| stats.open == 0).await);
    let expected = Stats { requests: 2, open: 0, max_open: 1, finished: 2, aborted: 0 };
    assert_eq!(upstream.stats(), expected);
    upstream.reset();
    assert_eq!(upstream.stats(), Stats::default());
}

#[tokio::test]
async fn requests_can_be_looked_at() {
    let upstream = Upstream::start_with_key("secret").await;
    assert_eq!(ask_whole(&upstream, "mock-1-0").await.status(), 401);
    let url = format!("{}/v1/chat/completions", upstream.base_url());
    let body = json!({"model": "mock-1-0:mine", "temperature": 0.5, "messages": [{"role": "user", "content": "Hi"}]});
    let sent =
        reqwest::Client::new().post(url).bearer_auth("secret").json(&body).send().await.unwrap();
    assert_eq!(sent.status(), 200);
    let requests = upstream.requests_for("mock-1-0:mine");
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].authorization.as_deref(), Some("Bearer secret"));
    assert_eq!(requests[0].messages()[0]["content"], "Hi");
    assert_eq!(*requests[0].param("temperature"), 0.5);
    assert!(requests[0].param("max_tokens").is_null());
}

#[tokio::test]
async fn dropping_it_closes_its_connections() {
    let upstream = Upstream::start().await;
    let mut response = ask_streamed(&upstream, "mock-hangmid-0").await;
    response.chunk().await.unwrap();
    drop(upstream);
    assert!(response.chunk().await.is_err());
}
