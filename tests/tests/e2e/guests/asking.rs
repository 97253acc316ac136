//! `POST /api/chat`.

use futures::future::join_all;
use repartee_tests::server::{Answer, Client, Engine, Setup};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ANOTHER, CHAT, ONE, say, shown};
use crate::support::{
    SETTLED_WITHIN, eventually, id_of, list, messages, on_both_databases, somebody, text, words,
};

on_both_databases!(
    a_guest_goes_on_after_a_restart,
    a_guest_reaches_no_conversation_but_theirs,
    a_repeated_message_is_answered_once,
    of_many_first_messages_at_once_one_is_answered,
    a_user_chats_under_an_id_of_their_own,
);

async fn a_guest_goes_on_after_a_restart(setup: Setup) {
    let operator = "Speak English.";
    let setup = setup.with("REPARTEE__REPLIES__SYSTEM_MESSAGE", operator);
    let mut server = setup.start().await;
    let body = json!({"message": "Tea?", "persona_id": 4, "system_message": "Be a pirate."});
    let first = server.client().post(CHAT, &body).await.expect(200);
    let session = text(&first["session_id"]).to_owned();
    assert_eq!(session.as_bytes()[14], b'4', "a random UUID");
    assert_eq!(first["persona_id"], 4);
    assert!(first["tokens_used"].as_u64().is_some_and(|used| used > 0), "{first}");
    assert!(!text(&first["message_id"]).is_empty());

    server.restart().await;
    let again = say(&server.client(), Some(&session), "And milk?").await.expect(200);

    assert_eq!(again["session_id"], first["session_id"]);
    assert_eq!(again["persona_id"], 4, "the conversation's");
    let asked = server.upstream().requests().pop().unwrap();
    let asked = asked.messages();
    assert_eq!(shown(asked), ["Tea?", text(&first["reply"]), "And milk?"]);
    let system = text(&asked[0]["content"]);
    assert!(system.starts_with(operator) && system.ends_with("\n\nBe a pirate."), "{system}");
}

async fn a_guest_reaches_no_conversation_but_theirs(setup: Setup) {
    let server = setup.start().await;
    let guest = server.client();
    say(&guest, Some(ONE), "My secret").await.expect(200);

    let other = say(&guest, Some(ANOTHER), "Hello").await.expect(200);
    assert_eq!(other["session_id"], ANOTHER);
    assert_eq!(shown(server.upstream().requests().pop().unwrap().messages()), ["Hello"]);
    // A user who has the guest's id has a conversation of their own under it.
    let ada = somebody(&server, "ada").await;
    say(&ada, Some(ONE), "Whose is it?").await.expect(200);
    assert_eq!(shown(server.upstream().requests().pop().unwrap().messages()), ["Whose is it?"]);
    say(&guest, Some(ONE), "Mine").await.expect(200);
    let asked = server.upstream().requests().pop().unwrap();
    assert_eq!(shown(asked.messages()).first(), Some(&"My secret"));
    assert_eq!(list(&ada.get("/api/v1/conversations").await.expect(200)["data"]).len(), 1);
    guest.get(&format!("/api/v1/conversations/{ONE}")).await.problem(401, "unauthenticated");
}

async fn keyed(client: &Client, body: &Value) -> Answer {
    let request = client.request(Method::POST, CHAT).header("Idempotency-Key", "k-1");
    Answer::to(request.json(body)).await
}

async fn a_repeated_message_is_answered_once(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    for (client, session) in [(server.client(), ONE), (ada, ANOTHER)] {
        let before = server.upstream().requests().len();
        let body = json!({"session_id": session, "message": "Once"});
        let first = keyed(&client, &body).await.expect(200);
        assert_eq!(keyed(&client, &body).await.expect(200), first);
        assert_eq!(server.upstream().requests().len(), before + 1);
        let other = json!({"session_id": session, "message": "Twice"});
        keyed(&client, &other).await.problem(422, "idempotency_key_reused");
        let nowhere = keyed(&client, &json!({"message": "Once"})).await;
        let problem = nowhere.problem(422, "invalid_fields");
        assert_eq!(problem["errors"][0]["field"], "session_id");
    }
}

async fn of_many_first_messages_at_once_one_is_answered(setup: Setup) {
    let server = setup.with("OPENAI_MODEL", "mock-20-20").start().await;
    let guest = server.client();

    let answers = join_all((0..8).map(|_| say(&guest, Some(ONE), "Race"))).await;

    let (good, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(good.len(), 1, "{answers:?}");
    assert_eq!(good[0].json()["reply"], words(20));
    for answer in refused {
        answer.problem(409, "reply_in_progress");
    }
}

async fn a_user_chats_under_an_id_of_their_own(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let made = say(&ada, None, "Hello").await.expect(200);
    let path = format!("/api/v1/conversations/{}", text(&made["session_id"]));
    let stored = messages(&ada, &path).await;
    assert_eq!(stored[0]["content"], "Hello");
    assert_eq!(stored[1]["id"], made["message_id"]);
    assert_eq!(stored[1]["content"], made["reply"]);

    let chosen = say(&ada, Some(ANOTHER), "Hello").await.expect(200);
    assert_eq!(chosen["session_id"], ANOTHER);
    let again = say(&ada, Some(id_of(&path)), "Again").await.expect(200);
    assert_eq!(again["session_id"], made["session_id"]);
    assert_eq!(messages(&ada, &path).await.len(), 4);
    // Somebody else's is not there, and a token that is no good makes nobody a guest.
    let grace = somebody(&server, "grace").await;
    say(&grace, Some(ANOTHER), "Hello").await.problem(404, "conversation_not_found");
    let nobody = server.client().with_token("nonsense");
    say(&nobody, Some(ANOTHER), "Hello").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_by_its_field() {
    let server = Setup::on(Engine::Sqlite).start().await;
    for (field, body) in [
        ("message", json!({})),
        ("message", json!({"message": " "})),
        ("message", json!({"message": "x".repeat(100_001)})),
        ("session_id", json!({"message": "x", "session_id": "7"})),
        ("session_id", json!({"message": "x", "session_id": 7})),
        ("session_id", json!({"message": "x", "session_id": "0".repeat(32)})),
        ("persona_id", json!({"message": "x", "persona_id": "pirate"})),
        ("system_message", json!({"message": "x", "system_message": "s".repeat(2_001)})),
    ] {
        let problem = server.client().post(CHAT, &body).await.problem(422, "invalid_fields");
        assert_eq!(list(&problem["errors"])[0]["field"], field, "{problem}");
    }
    assert_eq!(server.upstream().requests().len(), 0);
}

#[tokio::test]
async fn a_model_that_fails_is_said_as_anywhere() {
    let server = Setup::on(Engine::Sqlite).with("OPENAI_MODEL", "mock-400").start().await;
    say(&server.client(), None, "Hello").await.problem(502, "model_rejected");
}

#[tokio::test]
async fn where_guests_are_not_let_in_there_is_nothing_for_them() {
    let setup = Setup::on(Engine::Sqlite).with("REPARTEE__GUESTS__ENABLED", "false");
    let server = setup.start().await;
    let guest = server.client();
    say(&guest, None, "Hello").await.problem(401, "unauthenticated");
    for path in ["/api/chat/stream", "/ws/chat"] {
        assert_eq!(guest.try_socket(path, &[]).await.unwrap_err().status, 401, "{path}");
    }
    let ada = somebody(&server, "ada").await;
    say(&ada, None, "Hello").await.expect(200);
}

/// The reply is written to its end, whatever becomes of the guest.
#[tokio::test]
async fn a_guest_who_goes_away_finds_the_reply_later() {
    let server = Setup::on(Engine::Sqlite).with("OPENAI_MODEL", "mock-30-10").start().await;
    let guest = server.client();
    {
        let asking = say(&guest, Some(ONE), "Go on");
        let is_asked = async || !server.upstream().requests().is_empty();
        let begun = eventually("the model is asked", SETTLED_WITHIN, is_asked);
        tokio::select! {
            answer = asking => panic!("too early: {answer:?}"),
            () = begun => {}
        }
    }

    let is_answered = async || say(&guest, Some(ONE), "And?").await.status == 200;
    eventually("the reply ends", SETTLED_WITHIN, is_answered).await;

    say(&guest, Some(ONE), "So?").await.expect(200);
    let asked = server.upstream().requests().pop().unwrap();
    assert_eq!(shown(asked.messages())[..2], ["Go on", &words(30)]);
}
