//! Against a server on the loopback interface.

mod embeddings;
mod refusals;
mod replies;
mod server;

use std::fmt::Write;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use repartee_application::ports::{ChatChunk, PassedThrough};
use repartee_domain::{
    messages::MessageRole,
    replies::{FinishReason, Turn},
};

use self::server::{Answer, Server};
use super::*;

const KEY: &str = "sk-never-to-be-seen";
/// One reply of two pieces, as OpenAI writes it.
const HELLO: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}\n\n\
data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hé\"},\"finish_reason\":null}]}\n\n\
data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"llo 🙂\"},\"finish_reason\":null}]}\n\n\
data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7,\"prompt_tokens_details\":{}}}\n\n\
data: [DONE]\n\n";

fn settings(base_url: &str) -> OpenAiSettings {
    OpenAiSettings {
        base_url: base_url.to_owned(),
        api_key: Some(KEY.into()),
        default_model: None,
        connect_timeout: Duration::from_secs(5),
    }
}

/// It is always Sun, 06 Nov 1994 08:49:37 GMT.
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_secs(784_111_777).unwrap()
    }
}

fn model_with(settings: OpenAiSettings) -> OpenAiChatModel {
    OpenAiChatModel::new(settings, Arc::new(StoppedClock)).unwrap()
}

fn model(server: &Server) -> OpenAiChatModel {
    model_with(settings(&server.base_url))
}

fn request() -> ChatRequest {
    let turn = |role, content: &str| Turn { role, content: content.to_owned() };
    ChatRequest {
        model: "small".to_owned(),
        turns: vec![turn(MessageRole::System, "Be brief."), turn(MessageRole::User, "\"Why?\"\n")],
        temperature: Some(0.7),
        max_tokens: Some(64),
        passed: None,
    }
}

/// What a client said itself.
fn passed() -> PassedThrough {
    PassedThrough {
        messages: r#"[{"role":"developer","content":[{"type":"text","text":"Hi"}],"z":1}]"#.into(),
        has_more_than_text: false,
        fields: vec![("tools", r#"[{"z":1.50,"a":null}]"#.into()), ("seed", "7".into())],
    }
}

async fn ask(server: &Server) -> Vec<Result<ChatChunk, ModelError>> {
    model(server).stream(request()).await.unwrap().collect().await
}

fn said(text: &str) -> ChatChunk {
    ChatChunk::Text(text.to_owned())
}

fn hello() -> Vec<ChatChunk> {
    vec![
        said("Hé"),
        said("llo 🙂"),
        ChatChunk::Finished(FinishReason::Stop),
        ChatChunk::Usage { prompt_tokens: 5, completion_tokens: 2 },
    ]
}

/// The reply up to where it went well, and whether it went well to the end.
fn told(chunks: Vec<Result<ChatChunk, ModelError>>) -> (Vec<ChatChunk>, bool) {
    let length = chunks.len();
    let told: Vec<_> = chunks.into_iter().map_while(Result::ok).collect();
    let is_whole = told.len() == length;
    (told, is_whole)
}

/// Everything that an error can show, its sources included.
fn shown(error: &ModelError) -> String {
    let mut shown = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        write!(shown, " {error} {error:?}").unwrap();
        source = error.source();
    }
    shown
}

#[tokio::test]
async fn what_a_client_said_itself_is_sent_as_it_came() {
    let server = Server::answering([Answer::events(HELLO)]).await;
    let passed = passed();
    let request = ChatRequest { passed: Some(passed.clone().into()), ..request() };
    model(&server).stream(request).await.unwrap().collect::<Vec<_>>().await;

    let body = server.requests().remove(0).body;
    assert!(body.contains(&format!("\"messages\":{}", passed.messages)), "{body}");
    for (name, value) in passed.fields {
        assert!(body.contains(&format!("\"{name}\":{value}")), "{body}");
    }
    assert!(!body.contains("Be brief."), "the turns are the same in fewer words: {body}");
}

#[tokio::test]
async fn the_request_is_what_the_api_reference_asks_for() {
    let server = Server::answering([Answer::events(HELLO)]).await;
    ask(&server).await;

    let sent = server.requests().remove(0);
    assert!(sent.head.starts_with("post /v1/chat/completions http/1.1\r\n"), "{}", sent.head);
    assert!(sent.head.contains(&format!("authorization: bearer {KEY}")));
    assert!(sent.head.contains("content-type: application/json"));
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&sent.body).unwrap(),
        serde_json::json!({
            "model": "small",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "\"Why?\"\n"},
            ],
            "stream": true,
            "stream_options": {"include_usage": true},
            "temperature": 0.7,
            "max_tokens": 64,
        })
    );
}

#[tokio::test]
async fn without_a_key_none_is_sent() {
    for api_key in [None, Some("".into())] {
        let server = Server::answering([Answer::events(HELLO)]).await;
        let model = model_with(OpenAiSettings { api_key, ..settings(&server.base_url) });
        model.stream(request()).await.unwrap().count().await;
        assert!(!server.requests()[0].head.contains("authorization"));
    }
}

#[tokio::test]
async fn the_base_url_may_name_the_version_or_not() {
    for (path, asked) in [
        ("", "/v1/"),
        ("/", "/v1/"),
        ("/v1", "/v1/"),
        ("/v1/", "/v1/"),
        ("/llm", "/llm/v1/"),
        ("/v1beta/openai/", "/v1beta/openai/"),
    ] {
        let server = Server::answering([Answer::events(HELLO)]).await;
        let base_url = format!("{}{path}", server.base_url);
        model_with(settings(&base_url)).stream(request()).await.unwrap().count().await;
        let head = &server.requests()[0].head;
        assert!(head.starts_with(&format!("post {asked}chat/completions ")), "{path:?}: {head}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let refused = |settings| OpenAiChatModel::new(settings, Arc::new(StoppedClock)).err();
    for base_url in [
        "",
        "localhost:8000",
        "ftp://host/v1",
        "http://u:p@host/v1",
        "http://h/v1?k=1",
        "http://h/#x",
    ] {
        let error = refused(settings(base_url));
        assert!(matches!(error, Some(InvalidSettings::BaseUrl)), "{base_url:?}");
    }
    let with_line_feed = OpenAiSettings { api_key: Some("a\nb".into()), ..settings("http://h") };
    assert!(matches!(refused(with_line_feed), Some(InvalidSettings::ApiKey)));
}

#[tokio::test]
async fn one_connection_serves_one_reply_after_another() {
    let server = Server::answering([Answer::events(HELLO).in_pieces(40)]).await;
    let model = model(&server);
    for _ in 0..3 {
        model.stream(request()).await.unwrap().count().await;
    }
    assert!(server.requests().iter().all(|request| request.connection == 0));
}

#[tokio::test]
async fn the_models_are_asked_for_once() {
    let list = r#"{"object":"list","data":[{"id":"first","owned_by":"x"},{"id":"second"}]}"#;
    let server = Server::answering([Answer::json(503, ""), Answer::json(200, list)]).await;
    let model = model(&server);

    assert!(model.models().await.is_err());
    for _ in 0..2 {
        assert_eq!(model.models().await.unwrap(), ["first", "second"]);
    }
    assert_eq!(server.requests().len(), 2);
    assert!(server.requests()[1].head.starts_with("get /v1/models "));
}

#[tokio::test]
async fn a_configured_model_needs_no_asking() {
    let default_model = Some("mine".to_owned());
    let model = model_with(OpenAiSettings { default_model, ..settings("http://127.0.0.1:9") });
    assert_eq!(model.models().await.unwrap(), ["mine"]);
}

#[tokio::test]
async fn a_provider_without_models_has_no_default() {
    for list in [r#"{"data":[]}"#, "{}", "[]", "x"] {
        let server = Server::answering([Answer::json(200, list)]).await;
        assert!(matches!(model(&server).models().await, Err(ModelError::Broken(_))), "{list}");
    }
}

#[tokio::test]
async fn the_status_tells_how_the_last_request_went() {
    use ModelStatus::{Degraded, Ready};

    let server = Server::answering([
        Answer::events(HELLO),
        Answer::json(500, ""),
        Answer::json(404, ""),
        Answer::events("data: x\n\n"),
        Answer::events(HELLO),
        Answer::json(401, ""),
    ])
    .await;
    let model = model(&server);
    let mut statuses = vec![model.status()];
    for _ in 0..6 {
        if let Ok(reply) = model.stream(request()).await {
            reply.count().await;
        }
        statuses.push(model.status());
    }
    assert_eq!(statuses, [Ready, Ready, Degraded, Ready, Degraded, Ready, Degraded]);
}

#[test]
fn settings_show_no_key() {
    assert!(!format!("{:?}", settings("http://h")).contains(KEY));
}
