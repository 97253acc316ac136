//! Recorded replies, told by every surface, and cut and resumed at every event. What each surface
//! says of them, to the byte, is in `tests/golden/told`.

mod transcript;

use actix_web::{
    body::to_bytes,
    http::Method,
    test::{TestRequest, call_service, init_service},
};
use repartee_api::app;
use serde_json::json;

use self::transcript::{Transcript, about_the_conversation};
use crate::{
    fixture::{CONVERSATION, Fixture, as_user, conversation},
    sockets::{Client, mine},
};

const NAMES: [&str; 7] =
    ["completed", "cancelled", "failed", "interrupted", "queued", "unicode", "long"];

fn assert_told(name: &str, surface: &str, told: &str) {
    insta::with_settings!({
        snapshot_path => "../golden/told",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(format!("{name}.{surface}"), told);
    });
}

/// The answer's status and text, which ends when nothing more is to be told.
async fn text(fixture: Fixture, request: TestRequest) -> (u16, String) {
    let services = fixture.services();
    let streams = services.streams.clone();
    let service = init_service(app(services)).await;
    let response = call_service(&service, as_user(request).to_request()).await;
    let status = response.status().as_u16();
    streams.close(std::time::Duration::ZERO).await;
    let body = to_bytes(response.into_body()).await.ok().unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The blocks of an event stream, each with its id, without the one it begins with.
fn blocks(text: &str) -> Vec<(String, String)> {
    let blocks = text.split_terminator("\n\n").skip(1);
    let id = |block: &str| block.lines().next().unwrap().strip_prefix("id: ").unwrap().to_owned();
    blocks.map(|block| (id(block), block.to_owned())).collect()
}

/// Whatever was read before a cut, and what is told after it, are the whole.
async fn assert_resumes(whole: &str, over: u16, resume: impl AsyncFn(&str) -> (u16, String)) {
    let whole = blocks(whole);
    for (at, (id, _)) in whole.iter().enumerate() {
        let (status, rest) = resume(id).await;
        assert_eq!(blocks(&rest), whole[at + 1..], "after {id}");
        assert_eq!(status, if at + 1 == whole.len() { over } else { 200 }, "after {id}");
    }
}

#[actix_web::test]
async fn the_events_of_a_reply_say_the_same_as_ever_and_resume_everywhere() {
    for name in NAMES {
        let transcript = Transcript::read(name);
        let uri = format!("/api/v1/generations/{}/events", transcript.generation);

        let (status, whole) = text(transcript.fixture(), TestRequest::get().uri(&uri)).await;

        assert_eq!((status, blocks(&whole).len()), (200, transcript.events.len()));
        assert_told(name, "sse", &whole);
        assert_resumes(&whole, 204, async |id| {
            let request = TestRequest::get().uri(&uri).insert_header(("last-event-id", id));
            text(transcript.fixture(), request).await
        })
        .await;
    }
}

#[actix_web::test]
async fn the_stream_that_sends_resumes_everywhere_and_sends_nothing_again() {
    for name in NAMES {
        let transcript = Transcript::read(name);
        let events = format!("/api/v1/generations/{}/events", transcript.generation);
        let (_, whole) = text(transcript.fixture(), TestRequest::get().uri(&events)).await;

        assert_resumes(&whole, 204, async |id| {
            let uri =
                format!("/api/v1/stream/chat/{CONVERSATION}?message=Which&last_event_id={id}");
            text(transcript.fixture(), TestRequest::get().uri(&uri)).await
        })
        .await;
    }
}

#[actix_web::test]
async fn a_whole_turn_says_the_same_as_ever() {
    for name in NAMES {
        let request = TestRequest::post()
            .uri(&format!("/api/v1/conversations/{CONVERSATION}/messages"))
            .insert_header(("idempotency-key", "a-key"))
            .set_json(json!({"content": "Which tea keeps me awake?"}));

        let (status, body) = text(Transcript::read(name).fixture(), request).await;

        // A name of its own in each request.
        let body = body.replace("00000000-0000-0000-0000-00000000004d", "the-request");
        assert_told(name, "json", &format!("{status}\n{body}\n"));
    }
}

#[actix_web::test]
async fn a_feed_says_the_same_as_ever_and_resumes_everywhere() {
    for name in NAMES {
        let transcript = Transcript::read(name);
        let feed = async |id: &str| {
            let request = TestRequest::get().uri("/api/v1/events");
            let request = request.insert_header(("last-event-id", id));
            text(transcript.feed_fixture(), request).await
        };

        let (status, whole) = feed("1").await;

        assert_eq!(status, 200);
        assert_told(name, "feed", &whole);
        assert_resumes(&whole, 200, feed).await;
    }
}

#[actix_web::test]
async fn a_socket_says_the_same_as_ever_and_resumes_everywhere() {
    for name in NAMES {
        let transcript = Transcript::read(name);
        let resume = async |after: usize| {
            let mut client = Client::open(transcript.fixture(), &mine()).await;
            client.say(transcript.resume(json!({"after": after})));
            let mut told = Vec::new();
            for _ in after..transcript.events.len() {
                told.push(client.hear().await);
            }
            told
        };

        let whole = resume(0).await;

        assert_told(name, "ws", &(whole.join("\n") + "\n"));
        for after in 1..whole.len() {
            assert_eq!(resume(after).await, whole[after..], "after {after}");
        }
    }
}

#[actix_web::test]
async fn a_reply_whose_end_was_read_has_no_rest_on_a_socket() {
    for name in NAMES {
        let transcript = Transcript::read(name);
        // An `interrupted` may have been told under a higher number than it is stored with.
        for after in [transcript.events.len(), transcript.events.len() + 3] {
            let mut client = Client::open(transcript.fixture(), &mine()).await;
            client.say(transcript.resume(json!({"after": after, "ended": true})));
            assert!(client.hear().await.contains("\"code\":\"nothing_to_resume\""), "{name}");
        }
    }
}

#[actix_web::test]
async fn whoever_is_ahead_of_an_interrupted_reply_is_told_its_end_on_a_socket() {
    let transcript = Transcript::read("interrupted");
    let after = transcript.events.len() + 3;
    let mut client = Client::open(transcript.fixture(), &mine()).await;
    client.say(transcript.resume(json!({"after": after.to_string()})));
    let end = client.hear().await;
    assert!(end.contains("message_interrupted"), "{end}");
    assert!(end.contains(&format!("\"seq\":{}", after + 1)), "{end}");
}

#[actix_web::test]
async fn a_look_at_the_head_of_a_reply_reads_none_of_it() {
    let transcript = Transcript::read("completed");
    let (id, last) = (transcript.generation, transcript.events.len());
    for path in [format!("generations/{id}/events"), format!("stream/chat/{CONVERSATION}")] {
        for (read, status) in [(1, 200), (last, 204)] {
            let uri = format!("/api/v1/{path}?last_event_id={id}:{read}");
            let request = TestRequest::default().method(Method::HEAD).uri(&uri);
            let answer = text(transcript.fixture(), request).await;
            assert_eq!(answer, (status, String::new()), "{uri}");
        }
    }
}

#[actix_web::test]
async fn a_key_names_the_same_question_however_its_conversation_is_named() {
    let transcript = Transcript::read("completed");
    let asked = ["socket", "Which?", "", "None None"];
    let named = [CONVERSATION.to_string(), CONVERSATION.to_string().to_uppercase()];
    for named in named.into_iter().chain([conversation().code.to_string()]) {
        let fixture = transcript.fixture_asked(about_the_conversation(asked));
        let mut client = Client::open(fixture, &mine()).await;
        client.say(json!({"type": "send_message", "data": {
            "conversation_id": named, "content": "Which?", "idempotency_key": "a-key",
        }}));
        let told = client.hear().await;
        assert!(told.contains("message_started"), "{named}: {told}");
    }
}

#[actix_web::test]
async fn a_path_names_the_same_conversation_by_its_id_and_by_its_code() {
    let transcript = Transcript::read("completed");
    let id = CONVERSATION.to_string();
    for named in [id.clone(), id.to_uppercase(), conversation().code.to_string()] {
        let request = TestRequest::post()
            .uri(&format!("/api/v1/conversations/{named}/messages"))
            .insert_header(("idempotency-key", "a-key"))
            .set_json(json!({"content": "Which tea keeps me awake?"}));
        let answer = transcript.fixture().answer(as_user(request)).await;
        assert_eq!(answer.status, 200, "{named}: {}", answer.body);
    }
}

#[actix_web::test]
async fn an_interrupted_reply_is_not_asked_for_again_under_its_key() {
    let request = TestRequest::post()
        .uri(&format!("/api/v1/conversations/{CONVERSATION}/messages"))
        .insert_header(("idempotency-key", "a-key"))
        .set_json(json!({"content": "Which tea keeps me awake?"}));
    let answer = Transcript::read("interrupted").fixture().answer(as_user(request)).await;
    assert_eq!((answer.status, answer.header("x-should-retry")), (503, Some("false")));
}
