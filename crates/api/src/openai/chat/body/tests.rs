//! How requests are read.

use serde_json::{Value, json};

use super::*;

fn wish(body: &Value) -> Result<NewCompletion, ApiError> {
    parse_json::<NewCompletionBody>(body.to_string().as_bytes())?.try_into()
}

fn with(field: &str, value: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Why?"}]});
    body[field] = value;
    body
}

fn refused(body: &Value) -> (String, String) {
    let problem = wish(body).unwrap_err().fields().remove(0);
    (problem.field, problem.code)
}

#[test]
fn texts_are_understood_and_everything_is_passed_through_as_it_came() {
    let text = r#"{"model":"m","messages":[{"role":"developer","content":"Be brief."},
        {"role":"user","content":[{"type":"text","text":"What is "},{"type":"text","text":"this?"}]}],
        "tools":[{"z":1,"a":2.50}],"seed":7,"top_p":1.0,"unheard":"of","max_tokens":9}"#;
    let wish: NewCompletion =
        parse_json::<NewCompletionBody>(text.as_bytes()).unwrap().try_into().unwrap();

    let turns: Vec<_> = wish.turns.iter().map(|t| (t.role, t.content.as_str())).collect();
    let expected = [(MessageRole::System, "Be brief."), (MessageRole::User, "What is this?")];
    assert_eq!(turns, expected);
    let passed = wish.passed.unwrap();
    assert!(!passed.has_more_than_text);
    assert!(passed.messages.contains("\"developer\""), "{}", passed.messages);
    let fields = [("seed", "7".to_owned()), ("tools", "[{\"z\":1,\"a\":2.50}]".to_owned())];
    assert_eq!(passed.fields, fields);
    assert_eq!(wish.max_tokens, Some(9));
}

#[test]
fn pictures_and_tools_are_more_than_text() {
    let picture = json!([{"type": "image_url", "image_url": {"url": "https://example.com/a"}}]);
    for (messages, pictures) in [
        (json!([{"role": "user", "content": picture}]), 1),
        (json!([{"role": "assistant", "content": null, "tool_calls": []}]), 0),
        (json!([{"role": "tool", "tool_call_id": "1", "content": "4"}]), 0),
    ] {
        let wish = wish(&with("messages", messages)).unwrap();
        assert!(wish.passed.unwrap().has_more_than_text);
        assert_eq!(wish.pictures, pictures);
    }
}

#[test]
fn what_is_not_there_is_refused_and_not_left_out() {
    for (field, value) in [
        ("n", json!(2)),
        ("store", json!(true)),
        ("logprobs", json!(true)),
        ("functions", json!([])),
        ("audio", json!({})),
    ] {
        let refused = refused(&with(field, value));
        assert_eq!(refused, (field.to_owned(), "unsupported_parameter".to_owned()));
    }
    for (field, value) in [
        ("n", json!(1)),
        ("store", json!(false)),
        ("tools", Value::Null),
        ("functions", Value::Null),
        ("response_format", json!({"type": "text"})),
    ] {
        let passed = wish(&with(field, value)).unwrap().passed.unwrap();
        assert!(passed.fields.is_empty(), "{field}");
    }
}

#[test]
fn what_no_provider_would_take_is_refused_at_once() {
    for (field, value) in [
        ("top_p", json!("x")),
        ("seed", json!(0.5)),
        ("stop", json!([1])),
        ("tools", json!([1])),
        ("tool_choice", json!(1)),
        ("parallel_tool_calls", json!("yes")),
        ("response_format", json!("json")),
        ("user", json!(7)),
    ] {
        let expected = (field.to_owned(), "invalid".to_owned());
        assert_eq!(refused(&with(field, value)), expected);
    }
}

#[test]
fn a_message_that_is_wrong_is_named() {
    for (messages, field, code) in [
        (json!([]), "messages", "required"),
        (json!("Why?"), "messages", "invalid"),
        (json!([{"role": "king", "content": "x"}]), "messages[0].role", "invalid"),
        (json!([{"role": "user"}]), "messages[0].content", "required"),
        (json!([{"role": "user", "content": 7}]), "messages[0].content", "invalid"),
    ] {
        let expected = (field.to_owned(), code.to_owned());
        assert_eq!(refused(&with("messages", messages)), expected);
    }
}
