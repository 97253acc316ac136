//! Tokens that expire while a socket is open.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header, encode};
use repartee_tests::{
    server::{Client, Closed, Engine, Server, Setup, Socket},
    upstream::stamp::now_us,
};
use serde_json::{Value, json};

use crate::support::{id_of_user, log_in, somebody, text};

const SECRET: &str = "a secret that this test signs with";
/// What a token is accepted for after its end.
const LEEWAY_S: i64 = 30;
/// From then on, to send another token.
const GRACE: Duration = Duration::from_secs(30);

/// Ada, who has just registered, and a socket of hers whose token is accepted for a second or two.
async fn about_to_expire(server: &Server) -> (Client, Socket) {
    let ada = somebody(server, "ada").await;
    let user = id_of_user(&ada).await;
    let token = ada.token.clone().unwrap();
    let [head, claims, _]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let decoded = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
    let header: Header = serde_json::from_slice(&decoded(head)).unwrap();
    let mut claims: Value = serde_json::from_slice(&decoded(claims)).unwrap();
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    for _ in 0..10 {
        let now = i64::try_from(now_us() / 1_000_000).unwrap();
        claims["exp"] = json!(now + 3 - LEEWAY_S);
        let short = server.client().with_token(&encode(&header, &claims, &key).unwrap());
        match short.try_socket(&format!("/ws/chat/{user}"), &[]).await {
            Ok(socket) => return (ada, socket),
            // Where the machine stands still, the time is over before the token arrives.
            Err(refused) => assert_eq!(refused.status, 401, "{refused:?}"),
        }
    }
    panic!("a token that is good for two seconds is never taken");
}

#[tokio::test]
async fn a_new_token_in_time_keeps_the_socket_open() {
    let server = Setup::on(Engine::Sqlite).with("JWT_SECRET", SECRET).start().await;
    let (_, mut socket) = about_to_expire(&server).await;

    let error = socket.next().await;
    assert_eq!((&*error.kind, text(&error.data["code"])), ("error", "token_expired"));
    // One that is no token doesn't help, nor does somebody else's.
    let grace = somebody(&server, "grace").await;
    for bad in ["nonsense", &grace.token.unwrap()] {
        socket.send("authenticate", json!({"token": bad})).await;
        assert_eq!(socket.next().await.kind, "error");
    }
    let fresh = log_in(&server, "ada").await;
    socket.send("authenticate", json!({"token": fresh["access_token"]})).await;
    socket.send("start_conversation", json!({"title": "Still here"})).await;
    socket.wait_for("conversation_started").await;
}

#[tokio::test]
async fn without_a_new_token_the_socket_is_closed() {
    let server = Setup::on(Engine::Sqlite).with("JWT_SECRET", SECRET).start().await;
    let (ada, mut socket) = about_to_expire(&server).await;
    let error = socket.next().await;
    assert_eq!((&*error.kind, text(&error.data["code"])), ("error", "token_expired"));

    socket.send("start_conversation", json!({"title": "Too late"})).await;
    let error = socket.next().await;
    assert_eq!(error.data["code"], "token_expired", "only a token is taken now: {error:?}");
    socket.send("ping", json!({})).await;
    assert_eq!(socket.next().await.kind, "pong");
    let listed = ada.get("/api/v1/conversations").await.expect(200);
    assert_eq!(listed["data"], json!([]));
    assert_eq!(socket.closed(GRACE + Duration::from_secs(15)).await, Closed::With(4401));
}
