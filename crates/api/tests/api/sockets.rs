//! Sockets, frame by frame, without a network.

use std::{pin::Pin, sync::Mutex};

use actix_web::{
    body::{BoxBody, MessageBody},
    dev::Payload,
    error::PayloadError,
    test::{TestRequest, call_service, init_service},
};
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, channel::mpsc, future::poll_fn, stream};
use repartee_api::{Streams, app};
use repartee_application::ports::{Change, Changes, StoredChange, Watched};
use repartee_domain::{
    MessageId,
    messages::{Message, MessageRole},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{Answer, CONVERSATION, Fixture, NOW, USER, as_user, conversation};

/// The other side of a socket (RFC 6455).
pub(crate) struct Client {
    to_server: mpsc::UnboundedSender<Bytes>,
    from_server: Pin<Box<BoxBody>>,
    read: BytesMut,
    pub(crate) streams: Streams,
}

impl Client {
    pub(crate) async fn open(fixture: Fixture, uri: &str) -> Self {
        Self::open_by(fixture, as_user(upgrade(uri))).await
    }

    async fn open_by(fixture: Fixture, request: TestRequest) -> Self {
        let services = fixture.services();
        let streams = (**services.streams).clone();
        let service = init_service(app(services)).await;
        let (to_server, frames) = mpsc::unbounded();
        let payload = frames.map(Ok::<Bytes, PayloadError>).boxed_local();
        let (request, _) = request.to_request().replace_payload(Payload::Stream { payload });
        let response = call_service(&service, request).await;
        assert_eq!(response.status(), 101);
        let from_server = Box::pin(response.into_body().boxed());
        Self { to_server, from_server, read: BytesMut::new(), streams }
    }

    pub(crate) fn say(&mut self, frame: Value) {
        self.send(1, frame.to_string().as_bytes());
    }

    /// A frame with any code and content, masked with nothing.
    fn send(&mut self, code: u8, content: &[u8]) {
        let mut frame = vec![0x80 | code];
        match u16::try_from(content.len()) {
            Ok(length @ ..126) => frame.push(0x80 | u8::try_from(length).unwrap()),
            Ok(length) => {
                frame.push(0x80 | 0x7e);
                frame.extend(length.to_be_bytes());
            }
            Err(_) => {
                frame.push(0x80 | 0x7f);
                frame.extend((content.len() as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(content);
        self.to_server.unbounded_send(frame.into()).unwrap();
    }

    /// The next frame's code and content.
    async fn receive(&mut self) -> (u8, Bytes) {
        self.want(2).await;
        let (code, short) = (self.read[0] & 15, usize::from(self.read[1] & 127));
        let (head, length) = match short {
            126 => {
                self.want(4).await;
                (4, usize::from(u16::from_be_bytes([self.read[2], self.read[3]])))
            }
            127 => {
                self.want(10).await;
                let length: [u8; 8] = self.read[2..10].try_into().unwrap();
                (10, usize::try_from(u64::from_be_bytes(length)).unwrap())
            }
            length => (2, length),
        };
        self.want(head + length).await;
        let _ = self.read.split_to(head);
        (code, self.read.split_to(length).freeze())
    }

    async fn want(&mut self, length: usize) {
        while self.read.len() < length {
            let chunk = poll_fn(|context| self.from_server.as_mut().poll_next(context)).await;
            self.read.extend_from_slice(&chunk.unwrap().unwrap());
        }
    }

    /// The text of the next frame.
    pub(crate) async fn hear(&mut self) -> String {
        let (code, content) = self.receive().await;
        assert_eq!(code, 1, "{content:?}");
        String::from_utf8(content.to_vec()).unwrap()
    }

    async fn hear_json(&mut self) -> Value {
        serde_json::from_str(&self.hear().await).unwrap()
    }

    /// The code that the server closes with.
    async fn hear_close(&mut self) -> u16 {
        let (code, content) = self.receive().await;
        assert_eq!(code, 8, "{content:?}");
        u16::from_be_bytes([content[0], content[1]])
    }
}

fn upgrade(uri: &str) -> TestRequest {
    TestRequest::get()
        .uri(uri)
        .insert_header(("host", "chat.test"))
        .insert_header(("upgrade", "websocket"))
        .insert_header(("connection", "upgrade"))
        .insert_header(("sec-websocket-version", "13"))
        .insert_header(("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="))
}

pub(crate) fn mine() -> String {
    format!("/ws/chat/{USER}")
}

fn fixture() -> Fixture {
    let mut fixture = Fixture::default();
    fixture.feed.expect_watch().returning(|_, _| stream::pending().boxed());
    fixture
}

async fn refused(request: TestRequest) -> Answer {
    fixture().answer(request).await
}

#[actix_web::test]
async fn strangers_other_pages_and_other_people_are_refused_before_the_upgrade() {
    let answer = refused(upgrade(&mine())).await;
    assert_eq!((answer.status, &answer.body["code"]), (401, &json!("unauthenticated")));

    let page = as_user(upgrade(&mine())).insert_header(("origin", "https://evil.example.com"));
    let answer = refused(page).await;
    assert_eq!((answer.status, &answer.body["code"]), (403, &json!("origin_refused")));

    for other in [CONVERSATION.to_string(), "nobody".to_owned()] {
        let answer = refused(as_user(upgrade(&format!("/ws/chat/{other}")))).await;
        assert_eq!((answer.status, &answer.body["code"]), (403, &json!("not_yours")));
    }

    let answer = refused(as_user(TestRequest::get().uri(&mine()))).await;
    assert_eq!((answer.status, answer.header("upgrade")), (426, Some("websocket")));
}

#[actix_web::test]
async fn a_token_may_stand_in_the_query() {
    let answer = refused(TestRequest::get().uri(&format!("{}?token=good", mine()))).await;
    assert_eq!(answer.status, 426);
}

#[actix_web::test]
async fn a_conversation_is_started_and_ended() {
    let mut fixture = fixture();
    fixture.shapes.expect_choosable().returning(|_, asked| Ok(asked));
    fixture.conversations.expect_insert().once().returning(|_, _| Ok(None));
    fixture.conversations.expect_find().returning(|_, _| Ok(Some(conversation())));
    fixture.conversations.expect_save().once().returning(|saved, _| Ok(saved));
    fixture.shapes.expect_choosable().once().returning(|_, asked| Ok(asked));
    let mut client = Client::open(fixture, &mine()).await;

    client.say(json!({"type": "start_conversation", "data": {"title": "Tea", "persona_id": 1}}));
    let started = client.hear_json().await;
    assert_eq!(started["type"], "conversation_started");
    assert_eq!(started["data"]["conversation"]["title"], "Tea");
    assert_eq!(started["data"]["conversation"]["persona_id"], 1);

    client.say(
        json!({"type": "end_conversation", "data": {"conversation_id": CONVERSATION.to_string()}}),
    );
    let ended = client.hear_json().await;
    assert_eq!(
        ended,
        json!({"type": "conversation_ended", "data": {"conversation_id": CONVERSATION.to_string()}})
    );
}

#[actix_web::test]
async fn what_is_refused_says_so_and_the_socket_lives_on() {
    let mut fixture = fixture();
    fixture.turns.expect_find().returning(|_, _| Ok(None));
    let mut client = Client::open(fixture, &mine()).await;

    for (frame, code) in [
        (json!({"type": "cancel", "data": {"generation_id": 7}}), "generation_not_found"),
        (json!({"type": "resume", "data": {}}), "invalid_fields"),
        (json!({"type": "send_message", "data": {"conversation_id": 5}}), "invalid_fields"),
        (json!({"type": "send_message", "data": {"content": "x"}}), "invalid_fields"),
        (
            json!({"type": "end_conversation", "data": {"conversation_id": "x"}}),
            "conversation_not_found",
        ),
        (json!({"type": "authenticate", "data": {"token": "bad"}}), "unauthenticated"),
    ] {
        client.say(frame);
        let error = client.hear_json().await;
        assert_eq!((&error["type"], &error["data"]["code"]), (&json!("error"), &json!(code)));
    }
    client.say(json!({"type": "ping"}));
    assert_eq!(client.hear().await, "{\"type\":\"pong\",\"data\":{}}");
}

#[actix_web::test]
async fn once_its_token_ran_out_a_socket_takes_nothing_but_another() {
    tokio::time::pause();
    let mut fixture = fixture();
    fixture.turns.expect_find().returning(|_, _| Ok(None));
    let by_token = upgrade(&format!("{}?token=brief", mine()));
    let mut client = Client::open_by(fixture, by_token).await;
    assert_eq!(client.hear_json().await["data"]["code"], "token_expired");

    let cancel = json!({"type": "cancel", "data": {"generation_id": 7}});
    for frame in [
        json!({"type": "start_conversation", "data": {"title": "Tea"}}),
        json!({"type": "send_message", "data": {"conversation_id": CONVERSATION.to_string(), "content": "x"}}),
        json!({"type": "end_conversation", "data": {"conversation_id": CONVERSATION.to_string()}}),
        json!({"type": "resume", "data": {"generation_id": 7}}),
        cancel.clone(),
    ] {
        client.say(frame);
        let error = client.hear_json().await;
        assert_eq!(
            (&error["type"], &error["data"]["code"]),
            (&json!("error"), &json!("token_expired"))
        );
    }
    client.say(json!({"type": "ping"}));
    assert_eq!(client.hear_json().await["type"], "pong");
    client.say(json!({"type": "authenticate", "data": {"token": "good"}}));
    assert_eq!(client.hear_json().await["type"], "authenticated");
    client.say(cancel);
    assert_eq!(client.hear_json().await["data"]["code"], "generation_not_found");
}

/// A socket that is joined to the conversation, where other devices did this; `None`: what they
/// did was forgotten.
async fn joined(changes: Option<Vec<Change>>) -> Client {
    let mut fixture = Fixture::default();
    fixture.conversations.expect_find().returning(|_, _| Ok(Some(conversation())));
    fixture.turns.expect_running_of().returning(|_| Ok(Vec::new()));
    fixture.feed.expect_newest().returning(|_| Ok(1));
    fixture.feed.expect_watch().returning(|_, watched| match watched {
        Watched::Changes => stream::iter([()]).chain(stream::pending()).boxed(),
        Watched::SessionEnds => stream::pending().boxed(),
    });
    let changes = Mutex::new(changes);
    fixture.feed.expect_changes_after().returning(move |_, _, after, _| {
        let Some(changes) = changes.lock().unwrap().as_mut().map(std::mem::take) else {
            return Ok(None);
        };
        let stored = |(seq, change)| StoredChange { seq, conversation: Some(CONVERSATION), change };
        let changes: Vec<_> = (after + 1..).zip(changes).map(stored).collect();
        let read_to = changes.last().map_or(after, |last| last.seq);
        Ok(Some(Changes { changes, read_to, has_more: false }))
    });
    Client::open(fixture, &format!("/ws/{CONVERSATION}")).await
}

#[actix_web::test]
async fn a_message_that_is_too_long_for_an_event_is_told_without_its_text() {
    let said = |content: String| {
        Change::MessageCreated(Box::new(Message::said(
            MessageId::from_uuid(Uuid::from_u128(20)),
            "ABCDEFGHI0".parse().unwrap(),
            CONVERSATION,
            None,
            MessageRole::User,
            Message::parse_content(content).unwrap(),
            NOW,
        )))
    };
    let (short, long) = ("x".repeat(16 * 1024), "x".repeat(16 * 1024 + 1));
    let mut client = joined(Some(vec![said(short.clone()), said(long)])).await;

    let told = client.hear_json().await;
    assert_eq!(
        (&told["type"], &told["data"]["message"]["content"]),
        (&json!("message_created"), &json!(short))
    );
    let message = &client.hear_json().await["data"]["message"];
    assert_eq!((&message["content"], &message["content_omitted"]), (&json!(null), &json!(true)));
}

#[actix_web::test]
async fn a_socket_that_cannot_tell_what_happened_closes() {
    assert_eq!(joined(None).await.hear_close().await, 1013);
}

#[actix_web::test]
async fn the_fifth_malformed_frame_closes() {
    let mut client = Client::open(fixture(), &mine()).await;
    for _ in 0..5 {
        client.send(1, b"no frame");
        assert_eq!(client.hear_json().await["data"]["code"], "malformed_frame");
    }
    assert_eq!(client.hear_close().await, 4400);
}

#[actix_web::test]
async fn what_is_no_text_of_64_kib_closes() {
    for (code, content, closed) in [
        (2, vec![1], 1003),
        (1, vec![0xff], 1007),
        (1, vec![b' '; 64 * 1024 + 1], 1009),
        (1, vec![b' '; 2 * 1024 * 1024], 1009),
    ] {
        let mut client = Client::open(fixture(), &mine()).await;
        client.send(code, &content);
        assert_eq!(client.hear_close().await, closed);
    }
}

#[actix_web::test]
async fn a_ping_is_answered_and_a_close_returned() {
    let mut client = Client::open(fixture(), &mine()).await;
    client.send(9, b"are you there");
    assert_eq!(client.receive().await, (10, Bytes::from_static(b"are you there")));
    client.send(8, &1000_u16.to_be_bytes());
    assert_eq!(client.hear_close().await, 1000);
}

#[actix_web::test]
async fn a_server_that_goes_away_says_so() {
    let mut client = Client::open(fixture(), &mine()).await;
    let streams = client.streams.clone();
    let listen = async {
        let code = client.hear_close().await;
        client.send(8, &code.to_be_bytes());
        code
    };
    let (code, ()) = futures::join!(listen, streams.close(std::time::Duration::from_secs(5)));
    assert_eq!(code, 1001);
}

#[actix_web::test]
async fn whoever_is_signed_out_is_closed() {
    let mut fixture = Fixture::default();
    fixture
        .feed
        .expect_watch()
        .returning(|_, _| stream::iter([()]).chain(stream::pending()).boxed());
    fixture.signed_out_after = Some(1);
    let mut client = Client::open(fixture, &mine()).await;
    assert_eq!(client.hear_close().await, 4401);
}
