//! The contract of `GuestRepository`, and what others make of a guest.

use chrono::{DateTime, Utc};
use repartee_application::ports::{
    ConversationRepository, GuestRepository, LoginName, NewTurn, PortError, TurnBegun,
    TurnRepository, UserRepository,
};
use repartee_domain::{accounts::User, conversations::Conversation};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{
        NOW, at, conversation, conversation_id, finished, generation_id, secret_hash, turn, user,
        user_id,
    },
};

on_both_databases!(
    a_conversation_is_found_by_its_key_until_it_expires,
    each_message_keeps_the_conversation_for_longer,
    a_key_is_taken_until_what_it_opened_expires,
    what_expired_goes_with_everything_in_it_by_portions,
    what_a_guest_used_is_forgotten_with_them,
    a_guest_with_a_reply_being_written_goes_later,
    a_guest_has_no_account,
    an_id_is_used_once_whoever_has_it,
);

const DAY: i64 = 24 * 3600;

fn guest(n: u32) -> User {
    let User { id, code, .. } = user(n);
    User::guest(id, code, NOW)
}

fn begun_at(n: u32, seconds: i64) -> Conversation {
    Conversation { created_at: at(seconds), ..conversation(n, n) }
}

impl TestDatabase {
    /// Guest `n` with the conversation and the key of the same number.
    async fn with_guest(&self, n: u8, expires_at: DateTime<Utc>) {
        let (key, n) = (secret_hash(n), u32::from(n));
        self.guests().begin(guest(n), conversation(n, n), key, expires_at).await.unwrap();
    }
}

async fn a_conversation_is_found_by_its_key_until_it_expires(db: &TestDatabase) {
    db.with_guest(1, at(DAY)).await;
    db.with_guest(2, at(DAY)).await;

    let found = db.guests().find(secret_hash(1), at(DAY - 1)).await.unwrap();

    assert_eq!(found, Some(conversation(1, 1)));
    assert_eq!(db.guests().find(secret_hash(1), at(DAY)).await.unwrap(), None);
    assert_eq!(db.guests().find(secret_hash(3), NOW).await.unwrap(), None);
    // The other guest reaches it no more than a user would.
    let reached = db.conversations().find(user_id(2), conversation_id(1).into()).await.unwrap();
    assert_eq!(reached, None);
}

async fn each_message_keeps_the_conversation_for_longer(db: &TestDatabase) {
    db.with_guest(1, at(DAY)).await;
    let turn = NewTurn { expires_at: Some(at(2 * DAY)), ..turn(1, 1) };
    assert_eq!(db.turns().begin_turn(turn).await.unwrap(), TurnBegun::Begun);

    assert!(db.guests().find(secret_hash(1), at(DAY)).await.unwrap().is_some());
    assert!(db.guests().find(secret_hash(1), at(2 * DAY)).await.unwrap().is_none());
}

async fn a_key_is_taken_until_what_it_opened_expires(db: &TestDatabase) {
    db.with_guest(1, at(DAY)).await;
    let again = |n, seconds| {
        let (key, until) = (secret_hash(1), at(seconds + DAY));
        async move { db.guests().begin(guest(n), begun_at(n, seconds), key, until).await }
    };

    let refused = again(2, DAY - 1).await.unwrap_err();
    assert!(matches!(refused, PortError::Taken { field: "session_id" }), "{refused:?}");
    again(3, DAY).await.unwrap();

    let found = db.guests().find(secret_hash(1), at(DAY)).await.unwrap().unwrap();
    assert_eq!(found.id, conversation_id(3));
    assert_eq!(db.guests().forget(at(DAY), 10).await.unwrap(), 1, "what expired");
    assert!(db.users().find(user_id(1)).await.unwrap().is_none());
    assert!(db.users().find(user_id(2)).await.unwrap().is_none(), "all or nothing");
}

async fn what_expired_goes_with_everything_in_it_by_portions(db: &TestDatabase) {
    for n in 1..=3 {
        db.with_guest(n, at(n.into())).await;
    }
    db.with_guest(4, at(DAY)).await;
    db.with_conversation(5).await;
    let begun = turn(1, 1);
    db.turns().begin_turn(begun.clone()).await.unwrap();
    db.turns().finish_turn(finished(&begun, 2, None)).await.unwrap();

    let guests = db.guests();
    assert_eq!(guests.forget(at(3), 2).await.unwrap(), 2);
    assert_eq!(guests.forget(at(3), 2).await.unwrap(), 1);
    assert_eq!(guests.forget(at(3), 2).await.unwrap(), 0);

    for (table, left) in
        [("users", 2), ("conversations", 2), ("feeds", 2), ("messages", 0), ("generations", 0)]
    {
        assert_eq!(db.count(table).await, left, "{table}");
    }
    assert!(guests.find(secret_hash(4), at(3)).await.unwrap().is_some());
}

async fn what_a_guest_used_is_forgotten_with_them(db: &TestDatabase) {
    db.with_guest(1, at(1)).await;
    db.with_guest(2, at(DAY)).await;
    for n in 1..=2 {
        let begun = turn(n, n);
        db.turns().begin_turn(begun.clone()).await.unwrap();
        db.turns().finish_turn(finished(&begun, 2, None)).await.unwrap();
    }
    assert_eq!(db.count("token_budgets").await, 2);

    assert_eq!(db.guests().forget(at(1), 10).await.unwrap(), 1);

    let left = "token_budgets JOIN users ON users.id = token_budgets.subject_id";
    assert_eq!((db.count("token_budgets").await, db.count(left).await), (1, 1));
}

async fn a_guest_with_a_reply_being_written_goes_later(db: &TestDatabase) {
    db.with_guest(1, at(1)).await;
    let begun = turn(1, 1);
    db.turns().begin_turn(begun.clone()).await.unwrap();
    assert!(db.guests().running(NOW, 10).await.unwrap().is_empty(), "not expired yet");

    assert_eq!(db.guests().running(at(1), 10).await.unwrap(), [generation_id(1)]);
    assert_eq!(db.guests().forget(at(1), 10).await.unwrap(), 0);

    db.turns().finish_turn(finished(&begun, 2, None)).await.unwrap();
    assert!(db.guests().running(at(1), 10).await.unwrap().is_empty());
    assert_eq!(db.guests().forget(at(1), 10).await.unwrap(), 1);
}

async fn a_guest_has_no_account(db: &TestDatabase) {
    db.with_guest(1, at(DAY)).await;
    assert!(db.users().is_empty().await.unwrap(), "the first administrator is yet to be made");
    let name = LoginName::Email(guest(1).email);
    assert!(db.users().credentials(&name).await.unwrap().is_none());

    db.with_user(2).await;
    assert!(!db.users().is_empty().await.unwrap());
}

async fn an_id_is_used_once_whoever_has_it(db: &TestDatabase) {
    db.with_conversation(1).await;
    db.with_user(2).await;
    let taken = Conversation { code: conversation(9, 9).code, ..conversation(1, 2) };
    let refused = db.conversations().insert(taken, None).await.unwrap_err();
    assert!(matches!(refused, PortError::Taken { field: "id" }), "{refused:?}");
}
