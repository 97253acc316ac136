//! How replies are read.

use super::*;

/// A stream of the given data lines, without `[DONE]`.
fn stream(data: &[&str]) -> String {
    data.iter().flat_map(|data| ["data: ", data, "\n\n"]).collect()
}

const PIECE: &str = r#"{"choices":[{"delta":{"content":"a"}}]}"#;
const FINISH: &str = r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#;

#[tokio::test]
async fn a_reply_comes_piece_by_piece_and_ends_with_its_usage() {
    let server = Server::answering([Answer::events(HELLO)]).await;
    assert_eq!(told(ask(&server).await), (hello(), true));
}

#[tokio::test]
async fn a_reply_may_be_cut_anywhere_and_its_lines_may_end_anyhow() {
    for text in [HELLO.to_owned(), HELLO.replace('\n', "\r\n"), HELLO.replace('\n', "\r")] {
        for size in [1, 7, 64] {
            let server = Server::answering([Answer::events(&text).in_pieces(size)]).await;
            assert_eq!(told(ask(&server).await), (hello(), true), "{size}");
        }
    }
}

#[tokio::test]
async fn calls_of_tools_are_told_where_a_question_was_passed_through_and_only_there() {
    let calls = r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\": 1.50"}}]}"#;
    let refusal = r#"{"content":"b","refusal":"No.","reasoning":"hm"}"#;
    let text = stream(&[
        &format!(r#"{{"choices":[{{"delta":{calls}}}]}}"#),
        &format!(r#"{{"choices":[{{"delta":{refusal}}}]}}"#),
        r#"{"choices":[{"delta":{"tool_calls":null},"finish_reason":"tool_calls"}]}"#,
    ]);
    let answer = || Answer::events(&text);
    let server = Server::answering([answer(), answer()]).await;
    let finished = ChatChunk::Finished(FinishReason::ToolCalls);
    assert_eq!(told(ask(&server).await), (vec![said("b"), finished.clone()], true));

    let passed = ChatRequest { passed: Some(passed().into()), ..request() };
    let told_through = model(&server).stream(passed).await.unwrap().collect().await;

    let fields = |json: &str| ChatChunk::Fields(json.to_owned());
    let expected = vec![fields(calls), said("b"), fields(r#"{"refusal":"No."}"#), finished];
    let (chunks, is_over) = told(told_through);
    let expected_calls = vec![expected[0].clone()];
    assert_eq!(chunks[..1], expected_calls, "as they came");
    assert_eq!((chunks, is_over), (expected, true));
}

#[tokio::test]
async fn calls_of_tools_in_a_whole_answer_say_which_they_are() {
    let calls = r#"[{"id":"a","function":{"arguments":"{}"}},{"id":"b"}]"#;
    let json = format!(
        r#"{{"choices":[{{"message":{{"content":null,"tool_calls":{calls}}},"finish_reason":"tool_calls"}}]}}"#
    );
    let server = Server::answering([Answer::json(200, &json)]).await;
    let passed = ChatRequest { passed: Some(passed().into()), ..request() };
    let mut reply = model(&server).stream(passed).await.unwrap();

    let ChatChunk::Fields(fields) = reply.next().await.unwrap().unwrap() else {
        panic!("no fields")
    };
    let fields: serde_json::Value = serde_json::from_str(&fields).unwrap();
    let numbers: Vec<_> =
        fields["tool_calls"].as_array().unwrap().iter().map(|call| call["index"].clone()).collect();
    assert_eq!(numbers, [0, 1]);
}

#[tokio::test]
async fn each_piece_is_told_before_the_next_is_sent() {
    let text = stream(&[PIECE, PIECE, FINISH]);
    let length = stream(&[PIECE]).len();
    let server = Server::answering([Answer::events(&text).in_pieces(length).stepped()]).await;
    let mut reply = model(&server).stream(request()).await.unwrap();

    assert_eq!(reply.next().await.unwrap().unwrap(), said("a"));
    server.go_on();
    assert_eq!(reply.next().await.unwrap().unwrap(), said("a"));
    server.go_on();
    server.go_on();
    assert_eq!(reply.next().await.unwrap().unwrap(), ChatChunk::Finished(FinishReason::Length));
    assert!(reply.next().await.is_none());
}

#[tokio::test]
async fn what_others_add_or_leave_out_changes_nothing() {
    let text = format!(
        ": comment\n\nid: 1\nevent: completion.chunk\nretry: 5\n{}{}",
        stream(&[
            r#"{"id":null,"object":"x","created":"now","unheard":{"of":[1]},"choices":[]}"#,
            "{}",
            r#"{"choices":[{"index":0,"delta":{"role":"assistant"},"content_filter":{}}]}"#,
            r#"{"choices":[{"delta":{"content":null,"reasoning_content":"hm"},"finish_reason":""}]}"#,
            r#"{"choices":[{"delta":{"content":"a"},"logprobs":{}}],"usage":{"prompt_tokens":5}}"#,
            r#"{"choices":[{"delta":{"content":"b"},"finish_reason":"eos"}],"error":null}"#,
            r#"{"choices":[{"delta":{"content":"too late"},"finish_reason":"length"}]}"#,
        ]),
        "data:[DONE]\n\ndata: this is no JSON\n\n",
    );
    let server = Server::answering([Answer::events(&text)]).await;
    let wanted = vec![said("a"), said("b"), ChatChunk::Finished(FinishReason::Stop)];
    assert_eq!(told(ask(&server).await), (wanted, true));
}

#[tokio::test]
async fn usage_may_come_before_with_or_after_the_end() {
    let usage = r#","usage":{"prompt_tokens":5,"completion_tokens":2}"#;
    let piece = |more| format!(r#"{{"choices":[{{"delta":{{"content":"a"}}}}]{more}}}"#);
    let finish = |more| format!(r#"{{"choices":[{{"finish_reason":"length"}}]{more}}}"#);
    let alone = |choices| format!(r#"{{"id":"x"{choices}{usage}}}"#);
    let wanted = vec![
        said("a"),
        ChatChunk::Finished(FinishReason::Length),
        ChatChunk::Usage { prompt_tokens: 5, completion_tokens: 2 },
    ];
    for data in [
        vec![piece(usage), finish("")],
        vec![alone(""), piece(""), finish("")],
        vec![piece(""), finish(usage)],
        vec![piece(""), finish(""), alone(r#","choices":[]"#)],
        vec![piece(""), finish(""), alone("")],
    ] {
        let data: Vec<&str> = data.iter().map(String::as_str).collect();
        let server = Server::answering([Answer::events(&stream(&data))]).await;
        assert_eq!(told(ask(&server).await).0, wanted, "{data:?}");
    }
}

#[tokio::test]
async fn done_without_a_finish_reason_means_that_the_model_stopped() {
    for end in ["data: [DONE]\n\n", "data: [DONE]"] {
        let text = stream(&[PIECE]) + end;
        let server = Server::answering([Answer::events(&text)]).await;
        let wanted = vec![said("a"), ChatChunk::Finished(FinishReason::Stop)];
        assert_eq!(told(ask(&server).await), (wanted, true));
    }
}

#[tokio::test]
async fn a_finish_reason_is_enough_even_where_the_connection_breaks_after_it() {
    let whole = Answer::events(&stream(&[PIECE, FINISH]));
    for answer in [whole.clone(), whole.cut()] {
        let server = Server::answering([answer]).await;
        let wanted = vec![said("a"), ChatChunk::Finished(FinishReason::Length)];
        assert_eq!(told(ask(&server).await), (wanted, true));
    }
}

#[tokio::test]
async fn a_server_that_does_not_end_its_answer_holds_nobody_up() {
    let server = Server::answering([Answer::events(HELLO).left_open()]).await;
    let mut reply = model(&server).stream(request()).await.unwrap();
    for chunk in hello() {
        assert_eq!(reply.next().await.unwrap().unwrap(), chunk);
    }
    // From here on nobody but the clock has anything to do.
    tokio::time::pause();
    assert!(reply.next().await.is_none());
}

#[tokio::test]
async fn what_was_said_before_a_reply_broke_off_is_kept() {
    let piece = stream(&[PIECE]);
    let secret = format!(r#"{{"error":{{"message":"key {KEY}","code":"{KEY}","type":"oops"}}}}"#);
    for answer in [
        Answer::events(&piece),
        Answer::events(&piece).cut(),
        Answer::events(&(piece.clone() + "data: {\"choices\":[{\"del")),
        Answer::events(&(piece.clone() + "data: not JSON\n\ndata: [DONE]\n\n")),
        Answer::events(&(piece.clone() + "data: 7\n\n")),
        Answer::events(&(piece.clone() + "data: {\"choices\":7}\n\n")),
        Answer::events(&(piece.clone() + &stream(&[&format!(r#"{{"choices":"{KEY}"}}"#)]))),
        Answer::events(&(piece.clone() + "event: error\ndata: overloaded\n\ndata: [DONE]\n\n")),
        Answer::events(&(piece.clone() + &stream(&[&secret, "[DONE]"]))),
        Answer::events(&(piece.clone() + &stream(&[r#"{"error":"overloaded"}"#, "[DONE]"]))),
        Answer::events(
            &(piece.clone()
                + &stream(&[r#"{"object":"error","message":"no","code":500}"#, "[DONE]"])),
        ),
        Answer::events(&(piece.clone() + "data: " + &"x".repeat((1 << 20) + 1))),
    ] {
        let server = Server::answering([answer.clone()]).await;
        let mut reply = model(&server).stream(request()).await.unwrap();
        assert_eq!(reply.next().await.unwrap().unwrap(), said("a"));
        let error = reply.next().await.unwrap().unwrap_err();
        assert!(matches!(error, ModelError::Broken(_)), "{error:?}");
        assert!(!shown(&error).contains(KEY), "{error:?}");
        assert!(reply.next().await.is_none());
    }
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood_too() {
    let json = r#"{"choices":[{"message":{"role":"assistant","content":"Whole"},
        "finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
    let server = Server::answering([Answer::json(200, json)]).await;
    let wanted = vec![
        said("Whole"),
        ChatChunk::Finished(FinishReason::Stop),
        ChatChunk::Usage { prompt_tokens: 3, completion_tokens: 1 },
    ];
    assert_eq!(told(ask(&server).await), (wanted, true));
}

#[tokio::test]
async fn an_answer_that_is_neither_is_broken() {
    let huge = format!("\"{}\"", "x".repeat(5 << 20));
    for answer in [
        Answer::json(200, "not JSON"),
        Answer::json(200, r#"{"error":{"message":"no"}}"#),
        Answer::json(200, &huge),
        Answer::new(200, "content-type: text/html\r\n", "<html>Log in to the network</html>"),
        Answer::events(""),
    ] {
        let server = Server::answering([answer]).await;
        let error = match model(&server).stream(request()).await {
            Ok(mut reply) => reply.next().await.unwrap().unwrap_err(),
            Err(error) => error,
        };
        assert!(matches!(error, ModelError::Broken(_)), "{error:?}");
    }
}

#[tokio::test]
async fn dropping_the_reply_closes_the_connection() {
    let mut server = Server::answering([Answer::events(&stream(&[PIECE])).left_open()]).await;
    let mut reply = model(&server).stream(request()).await.unwrap();
    reply.next().await.unwrap().unwrap();

    drop(reply);

    server.connection_closed().await;
}
