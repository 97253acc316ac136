use serde_json::{Value, json};

use super::*;

/// A conversation of these nodes, each after the one before.
fn draft(messages: impl IntoIterator<Item = Value>) -> Draft {
    let nodes = messages.into_iter().enumerate().map(|(n, message)| {
        let name = |n: usize| format!("{n:02}");
        let parent = n.checked_sub(1).map(name);
        (name(n), json!({"message": message, "parent": parent, "children": []}))
    });
    let mapping: serde_json::Map<_, _> = nodes.collect();
    read(&json!({"title": "Tea", "create_time": 1_700_000_000.25, "mapping": mapping}))
}

fn read(conversation: &Value) -> Draft {
    serde_json::from_str::<ChatGptBody>(&conversation.to_string()).unwrap().into()
}

fn message(role: &str, content: Value) -> Value {
    json!({"author": {"role": role}, "create_time": 1_700_000_001.5, "content": content})
}

fn text(text: &str) -> Value {
    json!({"content_type": "text", "parts": [text]})
}

fn with(mut message: Value, name: &str, value: Value) -> Value {
    message[name] = value;
    message
}

fn kept(draft: &Draft) -> Vec<&str> {
    draft.nodes.iter().filter_map(|node| Some(&*node.said.as_ref()?.content)).collect()
}

#[test]
fn what_both_sides_said_is_kept_with_its_times_and_models() {
    let reply = message("assistant", text("Green."));
    let reply = with(reply, "metadata", json!({"model_slug": "gpt-4o"}));
    let draft = draft([message("user", text("Which?")), with(reply, "recipient", json!("all"))]);

    let said = |node: usize| draft.nodes[node].said.clone().unwrap();
    assert_eq!((said(0).role, said(1).role), (MessageRole::User, MessageRole::Assistant));
    assert_eq!(said(1).at, DateTime::from_timestamp_millis(1_700_000_001_500));
    assert_eq!(said(1).model.as_deref(), Some("gpt-4o"));
    assert_eq!(draft.nodes[1].parent, Some(0));
    assert_eq!(draft.created_at, DateTime::from_timestamp_millis(1_700_000_000_250));
    assert_eq!(draft.about.title, Some(Some("Tea".into())));
}

#[test]
fn what_is_no_part_of_the_conversation_is_left_out() {
    let hidden = json!({"is_visually_hidden_from_conversation": true});
    let thoughts = json!({"content_type": "thoughts", "thoughts": [{"summary": "Hm"}]});
    let code = json!({"content_type": "code", "language": "python", "text": "1 + 1"});
    let draft = draft([
        json!(null),
        message("system", text("You are helpful.")),
        with(message("user", text("About me")), "metadata", hidden),
        message("user", text("Which?")),
        with(message("assistant", code), "recipient", json!("python")),
        message("tool", json!({"content_type": "execution_output", "text": "2"})),
        message("assistant", thoughts),
        message("assistant", text(" ")),
        with(message("assistant", json!(null)), "metadata", json!(null)),
        message("somebody new", text("Hello")),
        message("assistant", text("Green.")),
    ]);
    assert_eq!(kept(&draft), ["Which?", "Green."]);
}

#[test]
fn what_is_no_text_leaves_a_note() {
    let parts = json!([
        {"content_type": "image_asset_pointer", "asset_pointer": "file-service://f"},
        {"content_type": "real_time_user_audio_video_asset_pointer", "audio_asset_pointer": {}},
        {"content_type": "audio_transcription", "text": "Spoken"},
        {"content_type": "something_new"},
        "Written",
        null,
        7,
    ]);
    let content = json!({"content_type": "multimodal_text", "parts": parts});
    let draft = draft([message("user", content)]);
    assert_eq!(kept(&draft), ["[image]\n[audio]\nSpoken\n[attachment]\nWritten\n\n"]);
}

#[test]
fn messages_come_in_the_order_of_their_times() {
    let node = |parent: Option<&str>, at: Value| {
        let message = with(message("user", text(&at.to_string())), "create_time", at);
        json!({"message": message, "parent": parent})
    };
    let draft = read(&json!({
        "mapping": {
            "late": node(Some("early"), json!(9.0)),
            "early": node(Some("nowhere"), json!(1.0)),
            "timeless": node(None, json!(null)),
            "impossible": node(Some("late"), json!(-1e300)),
        },
        "current_node": "late",
    }));
    let parents: Vec<_> = draft.nodes.iter().map(|node| node.parent).collect();
    assert_eq!(kept(&draft), ["-1e+300", "null", "1.0", "9.0"]);
    assert_eq!(parents, [Some(3), None, None, Some(2)]);
    assert_eq!(draft.open, Some(3));
}

#[test]
fn a_title_without_an_end_is_cut() {
    let draft = read(&json!({"title": "é".repeat(500), "mapping": {}}));
    assert_eq!(draft.about.title.flatten().map(|title| title.chars().count()), Some(200));
}

#[test]
fn what_is_no_conversation_is_refused() {
    for broken in [
        json!({"mapping": []}),
        json!({"mapping": {"a": 5}}),
        json!({"mapping": {"a": {"message": {"author": "user"}}}}),
        json!({"title": 5, "mapping": {}}),
    ] {
        assert!(serde_json::from_str::<ChatGptBody>(&broken.to_string()).is_err(), "{broken}");
    }
}

#[test]
fn what_has_no_end_is_not_read_to_it() {
    let parts = message("user", json!({"parts": vec![0; PARTS + 1]}));
    let parts = json!({"mapping": {"a": {"message": parts}}});
    let nodes: serde_json::Map<_, _> = (0..=NODES).map(|n| (n.to_string(), json!({}))).collect();
    for endless in [parts, json!({"mapping": nodes})] {
        let read = serde_json::from_str::<ChatGptBody>(&endless.to_string());
        assert!(read.is_err_and(|error| error.to_string().contains("more than")));
    }
}
