//! How refusals are told.

use tokio::net::TcpListener;

use super::*;

async fn refusal(answer: Answer) -> ModelError {
    let server = Server::answering([answer]).await;
    let error = model(&server).stream(request()).await.err().unwrap();
    assert!(!shown(&error).contains(KEY), "{error:?}");
    error
}

fn seconds(error: &ModelError) -> Option<f64> {
    match error {
        ModelError::Unavailable { retry_after, .. } | ModelError::RateLimited { retry_after } => {
            retry_after.map(|after| after.as_secs_f64())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refusal_is_told_by_its_status_and_code_alone() {
    let body = format!(
        r#"{{"error":{{"message":"Incorrect key {KEY}. Ask ops@corp.example","type":"invalid_request_error","code":"invalid_api_key"}}}}"#
    );
    for status in [302, 400, 401, 402, 403, 405, 413, 422] {
        let error = refusal(Answer::json(status, &body)).await;
        assert!(
            matches!(&error, ModelError::Rejected { reason } if *reason == format!("status {status}, invalid_api_key")),
            "{error:?}"
        );
    }
    let error = refusal(Answer::json(404, &body)).await;
    assert!(matches!(&error, ModelError::UnknownModel { .. }), "{error:?}");
}

#[tokio::test]
async fn whatever_else_a_provider_says_is_kept_out() {
    for (body, reason) in [
        (String::new(), "status 400"),
        ("<html>nginx</html>".to_owned(), "status 400"),
        (format!(r#"{{"error":"no {KEY}"}}"#), "status 400"),
        (format!(r#"{{"error":{{"code":"{KEY}","type":"bad_key"}}}}"#), "status 400, bad_key"),
        (r#"{"error":{"code":"two words","type":null}}"#.to_owned(), "status 400"),
        (format!(r#"{{"error":{{"code":"{}"}}}}"#, "x".repeat(65)), "status 400"),
        (r#"{"error":{"code":400,"type":"x"}}"#.to_owned(), "status 400, 400"),
        (
            r#"{"object":"error","type":"BadRequestError","code":""}"#.to_owned(),
            "status 400, BadRequestError",
        ),
        (r#"{"error":{"code":"a"}}"#.to_owned() + &" ".repeat(1 << 20), "status 400, a"),
    ] {
        let error = refusal(Answer::json(400, &body)).await;
        assert!(
            matches!(&error, ModelError::Rejected { reason: told } if told == reason),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn trouble_on_the_other_side_is_worth_another_try() {
    for status in [408, 409, 425, 500, 502, 503, 504, 529] {
        let error = refusal(Answer::json(status, "")).await;
        assert!(matches!(error, ModelError::Unavailable { retry_after: None, .. }), "{error:?}");
    }
    let error = refusal(Answer::new(503, "retry-after: 7\r\n", "")).await;
    assert_eq!(seconds(&error), Some(7.0));
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_back_where_the_provider_does() {
    for (headers, after) in [
        ("", None),
        ("retry-after: 12\r\n", Some(12.0)),
        ("retry-after: 0.5\r\n", Some(0.5)),
        ("retry-after: Sun, 06 Nov 1994 08:50:07 GMT\r\n", Some(30.0)),
        ("retry-after: Sun, 06 Nov 1994 08:49:07 GMT\r\n", Some(0.0)),
        ("retry-after-ms: 250\r\nretry-after: 12\r\n", Some(0.25)),
        ("retry-after-ms: soon\r\nretry-after: 12\r\n", Some(12.0)),
        ("retry-after: -1\r\n", None),
        ("retry-after: NaN\r\n", None),
        ("retry-after: 1e300\r\n", None),
        ("retry-after: tomorrow\r\n", None),
    ] {
        let error = refusal(Answer::new(429, headers, "")).await;
        assert!(matches!(error, ModelError::RateLimited { .. }));
        assert_eq!(seconds(&error), after, "{headers}");
    }
}

#[tokio::test]
async fn a_bill_that_is_not_paid_is_not_worth_another_try() {
    let body = r#"{"error":{"message":"You exceeded …","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#;
    let error = refusal(Answer::json(429, body)).await;
    assert!(
        matches!(error, ModelError::Rejected { reason } if reason == "status 429, insufficient_quota")
    );
}

#[tokio::test]
async fn a_server_that_refuses_stream_options_is_asked_without_from_then_on() {
    for status in [400, 422] {
        let body = r#"{"error":{"message":"Unrecognized field: stream_options"}}"#;
        let server = Server::answering([Answer::json(status, body), Answer::events(HELLO)]).await;
        let model = model(&server);
        for _ in 0..2 {
            assert_eq!(told(model.stream(request()).await.unwrap().collect().await).0, hello());
        }
        let asks = |request: &server::Request| request.body.contains("stream_options");
        let asked: Vec<bool> = server.requests().iter().map(asks).collect();
        assert_eq!(asked, [true, false, false]);
    }
}

#[tokio::test]
async fn a_server_that_refuses_max_tokens_is_given_the_newer_name() {
    let body = r#"{"error":{"message":"Use 'max_completion_tokens' instead.","code":"unsupported_parameter"}}"#;
    let server = Server::answering([Answer::json(400, body), Answer::events(HELLO)]).await;
    let model = model(&server);
    for _ in 0..2 {
        model.stream(request()).await.unwrap().count().await;
    }
    let is_newer =
        |request: &server::Request| request.body.contains("\"max_completion_tokens\":64");
    let newer: Vec<bool> = server.requests().iter().map(is_newer).collect();
    assert_eq!(newer, [false, true, true]);
}

#[tokio::test]
async fn a_server_that_refuses_everything_is_not_asked_for_ever() {
    let body = "stream_options, max_completion_tokens";
    let server = Server::answering([Answer::json(400, body)]).await;
    assert!(matches!(model(&server).stream(request()).await, Err(ModelError::Rejected { .. })));
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::answering([Answer::events(HELLO)]).await;
    let header = format!("location: {}/v1/chat/completions\r\n", elsewhere.base_url);
    let error = refusal(Answer::new(307, &header, "")).await;
    assert!(matches!(error, ModelError::Rejected { reason } if reason == "status 307"));
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn several_failed_connections_in_a_row_mean_that_nobody_is_there() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let model = model_with(settings(&format!("http://127.0.0.1:{port}")));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let error = model.stream(request()).await.err().unwrap();
        assert!(matches!(error, ModelError::Unavailable { retry_after: None, .. }), "{error:?}");
        assert!(!shown(&error).contains(KEY));
        statuses.push(model.status());
    }
    assert_eq!(statuses, [ModelStatus::Degraded, ModelStatus::Degraded, ModelStatus::Unavailable]);
}

#[tokio::test]
async fn a_connection_that_closes_before_the_answer_is_worth_another_try() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let model = model_with(settings(&format!("http://{}", listener.local_addr().unwrap())));
    let closing = async { drop(listener.accept().await.unwrap()) };
    let (reply, ()) = futures::join!(model.stream(request()), closing);
    assert!(matches!(reply.err(), Some(ModelError::Unavailable { .. })));
    assert_eq!(model.status(), ModelStatus::Degraded);
}
