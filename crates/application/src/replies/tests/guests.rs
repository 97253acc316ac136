//! What is different for guests.

use chrono::TimeDelta;
use repartee_domain::accounts::Role;

use super::super::{
    NewMessage, ReplyOptions,
    fixture::{ACTOR, CONVERSATION, Fixture, START, Step},
};
use crate::{Actor, Credential};

fn guest() -> Actor {
    Actor { role: Role::Guest, credential: Credential::Guest, ..ACTOR }
}

fn fixture() -> Fixture {
    Fixture::answering([Ok(vec![Step::Text("Hm.")])])
}

#[tokio::test(start_paused = true)]
async fn a_message_keeps_a_guests_conversation_and_no_users() {
    for (actor, expires_at) in [(guest(), Some(START + TimeDelta::days(1))), (ACTOR, None)] {
        let fixture = fixture();
        let message = NewMessage { content: "Hello".into(), ..NewMessage::default() };
        fixture.service.send(&actor, CONVERSATION.into(), message, None).await.unwrap();
        assert_eq!(fixture.turns.0.lock().unwrap().begun[0].expires_at, expires_at);
    }
}

#[tokio::test(start_paused = true)]
async fn a_guest_may_not_choose_a_model() {
    let fixture = fixture();
    let model = Some("large".into());
    let message = NewMessage {
        content: "Hello".into(),
        options: ReplyOptions { model, ..ReplyOptions::default() },
        ..NewMessage::default()
    };
    let sent = fixture.service.send(&guest(), CONVERSATION.into(), message, None).await;
    assert_eq!(sent.map(|_| ()).unwrap_err().classify().1, "forbidden");
    assert!(fixture.turns.0.lock().unwrap().begun.is_empty());
}
