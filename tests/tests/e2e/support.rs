//! People, conversations and replies to test with.

mod mail;
mod random;
mod replicas;
mod stalled;
mod waiting;

use repartee_tests::server::{Answer, Client, Event, Events, Server, Setup, Socket};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

pub(crate) use self::{
    mail::{mail_to, mails_to, secret_in},
    random::Random,
    replicas::on_replicas,
    stalled::Stalled,
    waiting::{SETTLED_WITHIN, WITHIN_A_SECOND, eventually, settled},
};

pub(crate) const PASSWORD: &str = "analytical-engine-1";

/// Makes a test on each database of an `async fn(Setup)` in the same module.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                use repartee_tests::server::{Engine, Setup};
                super::$name(Setup::on(Engine::Sqlite)).await;
            })+
        }

        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                use repartee_tests::server::{Engine, Setup};
                super::$name(Setup::on(Engine::Postgres)).await;
            })+
        }
    };
}
pub(crate) use on_both_databases;

pub(crate) fn address(name: &str) -> String {
    format!("{name}@example.com")
}

/// Registers somebody; the answer has their tokens.
pub(crate) async fn register(server: &Server, name: &str) -> Value {
    let body = json!({"email": address(name), "password": PASSWORD, "username": name});
    server.client().post("/api/v1/auth/register", &body).await.expect(201)
}

pub(crate) async fn log_in(server: &Server, name: &str) -> Value {
    let body = json!({"email": address(name), "password": PASSWORD});
    server.client().post("/api/v1/auth/login", &body).await.expect(200)
}

/// Somebody who has just registered, with their token.
pub(crate) async fn somebody(server: &Server, name: &str) -> Client {
    let registered = register(server, name).await;
    server.client().with_token(text(&registered["access_token"]))
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

/// A new conversation's path.
pub(crate) async fn conversation(client: &Client) -> String {
    conversation_with(client, json!({})).await
}

pub(crate) async fn conversation_with(client: &Client, body: Value) -> String {
    let made = client.post("/api/v1/conversations", &body).await.expect(201);
    format!("/api/v1/conversations/{}", text(&made["id"]))
}

/// Sends a message and waits for the whole reply.
pub(crate) async fn ask(client: &Client, conversation: &str, content: &str, model: &str) -> Answer {
    let body = json!({"content": content, "model": model});
    client.post(&format!("{conversation}/messages"), &body).await
}

/// Sends a message and reads its reply as it is written.
pub(crate) async fn begin(client: &Client, conversation: &str, model: &str) -> Events {
    let body = json!({"content": "Go on", "model": model});
    client.stream(&format!("{conversation}/messages"), &body).await
}

/// The only file of a form, in the field `file`.
pub(crate) fn form(name: &str, bytes: &[u8]) -> Vec<u8> {
    let disposition = format!("form-data; name=\"file\"; filename=\"{name}\"");
    let head = format!("--x\r\nContent-Disposition: {disposition}\r\n\r\n");
    [head.as_bytes(), bytes, b"\r\n--x--\r\n"].concat()
}

/// A request with a form that is yet to be given.
pub(crate) fn form_request(client: &Client, path: &str) -> RequestBuilder {
    let request = client.request(Method::POST, path);
    request.header("Content-Type", "multipart/form-data; boundary=x")
}

pub(crate) async fn upload(client: &Client, path: &str, name: &str, bytes: &[u8]) -> Answer {
    Answer::to(form_request(client, path).body(form(name, bytes))).await
}

/// The last part of a path: an id.
pub(crate) fn id_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// All messages of a conversation, oldest first.
pub(crate) async fn messages(client: &Client, conversation: &str) -> Vec<Value> {
    let page = client.get(&format!("{conversation}/messages?limit=100")).await.expect(200);
    list(&page["data"]).to_vec()
}

/// What the scripted models that count their words write.
pub(crate) fn words(count: usize) -> String {
    let words: Vec<_> = (0..count).map(|n| format!("tok~{n}~ ")).collect();
    words.concat()
}

/// The text that events add up to.
pub(crate) fn written(events: &[Event]) -> String {
    events.iter().map(Event::text).collect()
}

pub(crate) fn generation_of(start: &Event) -> String {
    format!("/api/v1/generations/{}", text(&start.json()["generation_id"]))
}

/// What holds for every reply that was read from its first event to its last.
#[track_caller]
pub(crate) fn assert_whole(events: &[Event]) {
    let first = events.first().expect("no event came");
    assert_eq!(first.name, "start");
    let generation = text(&first.json()["generation_id"]).to_owned();
    for (event, number) in events.iter().zip(1..) {
        assert!(event.id.starts_with(&generation), "{}", event.id);
        assert_eq!(event.seq(), number, "no gap");
    }
    let terminal = events.iter().filter(|event| event.is_terminal()).count();
    assert_eq!(terminal, 1, "exactly one end: {events:?}");
    let last = events.last().expect("no event came");
    assert!(last.is_terminal(), "the end comes last: {events:?}");
    assert_eq!(last.json()["message"]["content"], written(events), "the end has all of the text");
}

/// Somebody's own id.
pub(crate) async fn id_of_user(client: &Client) -> String {
    text(&client.get("/api/v1/users/me").await.expect(200)["id"]).to_owned()
}

/// A socket of theirs, for any of their conversations.
pub(crate) async fn socket(client: &Client) -> Socket {
    client.socket(&format!("/ws/chat/{}", id_of_user(client).await)).await
}

/// A server on which `root` is an administrator.
pub(crate) async fn with_root(setup: Setup) -> (Server, Client) {
    let server = setup
        .with("REPARTEE__BOOTSTRAP__ADMIN_EMAIL", &address("root"))
        .with("REPARTEE__BOOTSTRAP__ADMIN_PASSWORD", PASSWORD)
        .start()
        .await;
    let tokens = log_in(&server, "root").await;
    let root = server.client().with_token(text(&tokens["access_token"]));
    (server, root)
}
