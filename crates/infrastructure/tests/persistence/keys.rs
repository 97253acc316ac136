//! The contract of `IdempotencyKeys`, and of those who store keys with what was done.

use std::time::Duration;

use futures::future::join_all;
use repartee_application::ports::{
    ConversationRepository, Done, IdempotencyKeys, MessageRepository, NewKey, NewTurn, Place,
    PortError, Question, TurnBegun, TurnRepository, UsedKey,
};
use repartee_domain::{conversations::Conversation, messages::Message};
use sea_orm::ConnectionTrait;
use tokio::time::timeout;

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{
        NOW, UPDATED, at, conversation, conversation_id, finished, generation_id, key, message_id,
        moved, said, turn, user_id,
    },
};

on_both_databases!(
    of_many_turns_with_one_key_one_begins,
    a_used_key_is_told_before_anything_else,
    a_key_with_another_fingerprint_is_told_with_the_first_one,
    an_expired_key_may_be_used_again,
    keys_of_other_routes_and_users_are_others,
    a_message_with_a_used_key_is_not_stored,
    of_many_messages_with_one_key_one_is_stored,
    a_key_of_a_refused_turn_is_not_used,
    a_key_goes_with_what_it_points_at,
    expired_keys_are_forgotten_by_portions,
    a_key_of_a_message_that_points_nowhere_is_not_tried_for_ever,
    of_many_conversations_with_one_key_one_is_made,
    a_key_of_something_made_outlives_it,
);

const FINGERPRINT: [u8; 32] = [3; 32];

fn keyed(n: u32, conversation: u32, key: NewKey) -> NewTurn {
    NewTurn { key: Some(key), ..turn(n, conversation) }
}

/// What turn `n` was begun under.
fn used(n: u32) -> UsedKey {
    UsedKey { fingerprint: FINGERPRINT, done: Done::Turn(generation_id(n)) }
}

async fn of_many_turns_with_one_key_one_begins(db: &TestDatabase) {
    db.with_conversation(1).await;
    let turns = db.turns();

    let begun =
        join_all((1..=30).map(|n| turns.begin_turn(keyed(n, 1, key("k", at(1_000)))))).await;

    let begun: Vec<_> = begun.into_iter().map(Result::unwrap).collect();
    let winner = begun.iter().position(|begun| *begun == TurnBegun::Begun).unwrap();
    let used = TurnBegun::KeyUsed(used(u32::try_from(winner).unwrap() + 1));
    assert_eq!(begun.iter().filter(|begun| **begun == used).count(), 29);
    assert_eq!((db.count("messages").await, db.count("generations").await), (2, 1));
    assert_eq!(db.count("feed_events").await, 3);
}

async fn a_used_key_is_told_before_anything_else(db: &TestDatabase) {
    db.with_conversation(1).await;
    let first = keyed(1, 1, key("k", at(1_000)));
    db.turns().begin_turn(first.clone()).await.unwrap();
    let again = async |n| {
        let again = NewTurn { most_running: 1, ..keyed(n, 1, key("k", at(1_000))) };
        assert_eq!(db.turns().begin_turn(again).await.unwrap(), TurnBegun::KeyUsed(used(1)));
    };

    again(2).await;
    db.turns().finish_turn(finished(&first, 2, None)).await.unwrap();
    again(3).await;
    let mut closed = conversation(1, 1);
    closed.status = repartee_domain::conversations::ConversationStatus::Archived;
    db.conversations().save(closed, UPDATED).await.unwrap();
    again(4).await;
    // Whatever conversation it is sent to, and be it one that is gone.
    let gone = moved(keyed(5, 1, key("k", at(1_000))), 7);
    assert_eq!(db.turns().begin_turn(gone).await.unwrap(), TurnBegun::KeyUsed(used(1)));
}

async fn a_key_with_another_fingerprint_is_told_with_the_first_one(db: &TestDatabase) {
    db.with_conversation(1).await;
    db.turns().begin_turn(keyed(1, 1, key("k", at(1_000)))).await.unwrap();
    let other = NewKey { fingerprint: [4; 32], ..key("k", at(2_000)) };

    let begun = db.turns().begin_turn(keyed(2, 1, other)).await.unwrap();

    assert_eq!(begun, TurnBegun::KeyUsed(used(1)));
    let found = db.keys().find(user_id(1), "send", "k", at(3)).await.unwrap();
    assert_eq!(found, Some(used(1)));
}

async fn an_expired_key_may_be_used_again(db: &TestDatabase) {
    db.with_conversation(1).await;
    let first = keyed(1, 1, key("k", at(4)));
    db.turns().begin_turn(first.clone()).await.unwrap();
    db.turns().finish_turn(finished(&first, 2, None)).await.unwrap();
    let find = async |seconds| db.keys().find(user_id(1), "send", "k", at(seconds)).await.unwrap();
    assert_eq!((find(3).await, find(4).await), (Some(used(1)), None));

    // Turn 2 is begun at second 4.
    let begun = db.turns().begin_turn(keyed(2, 1, key("k", at(99)))).await.unwrap();

    assert_eq!(begun, TurnBegun::Begun);
    assert_eq!(find(98).await, Some(used(2)));
    assert_eq!(db.count("idempotency_keys").await, 1);
}

async fn keys_of_other_routes_and_users_are_others(db: &TestDatabase) {
    db.with_conversation(1).await;
    db.with_conversation(2).await;
    let first = keyed(1, 1, key("k", at(1_000)));
    db.turns().begin_turn(first.clone()).await.unwrap();
    db.turns().finish_turn(finished(&first, 2, None)).await.unwrap();

    let elsewhere = NewKey { route: "regenerate", ..key("k", at(1_000)) };
    let turns = [keyed(2, 2, key("k", at(1_000))), keyed(3, 1, elsewhere)];
    for turn in turns {
        assert_eq!(db.turns().begin_turn(turn).await.unwrap(), TurnBegun::Begun);
    }
    let find = async |owner, route| db.keys().find(user_id(owner), route, "k", NOW).await.unwrap();
    assert_eq!(find(1, "send").await, Some(used(1)));
    assert_eq!(find(2, "send").await, Some(used(2)));
    assert_eq!(find(1, "regenerate").await, Some(used(3)));
    assert_eq!(find(2, "regenerate").await, None);
}

async fn a_message_with_a_used_key_is_not_stored(db: &TestDatabase) {
    db.with_conversation(1).await;
    let store = async |n| {
        let key = Some(key("k", at(1_000)));
        db.messages().store(user_id(1), said(n, 1, "Hello"), Place::LINEAR, key).await.unwrap()
    };

    assert_eq!(store(1).await, None);
    let used = UsedKey { fingerprint: FINGERPRINT, done: Done::Message(message_id(1)) };
    assert_eq!(store(2).await, Some(used));
    assert_eq!(db.count("messages").await, 1);
    // What is told last is the first message: the second one left no trace.
    assert_eq!(db.count("feed_events").await, 2);
    assert_eq!(db.keys().find(user_id(1), "send", "k", NOW).await.unwrap(), Some(used));
}

async fn of_many_messages_with_one_key_one_is_stored(db: &TestDatabase) {
    db.with_conversation(1).await;
    let messages = db.messages();

    let stores = (1..=20).map(|n| {
        let key = Some(key("k", at(1_000)));
        messages.store(user_id(1), said(n, 1, "Hello"), Place::LINEAR, key)
    });
    let stored: Vec<_> = join_all(stores).await.into_iter().map(Result::unwrap).collect();

    assert_eq!(stored.iter().filter(|used| used.is_none()).count(), 1);
    assert_eq!(db.count("messages").await, 1);
}

async fn a_key_of_a_refused_turn_is_not_used(db: &TestDatabase) {
    db.with_turn(1).await;

    let begun = db.turns().begin_turn(keyed(2, 1, key("k", at(1_000)))).await.unwrap();
    assert_eq!(begun, TurnBegun::ReplyInProgress(generation_id(1)));
    let capped = NewTurn { most_running: 0, ..keyed(3, 1, key("l", at(1_000))) };
    db.conversations().insert(conversation(3, 1), None).await.unwrap();
    assert_eq!(db.turns().begin_turn(moved(capped, 3)).await.unwrap(), TurnBegun::TooManyRunning);

    assert_eq!(db.count("idempotency_keys").await, 0);
}

async fn a_key_goes_with_what_it_points_at(db: &TestDatabase) {
    db.with_conversation(1).await;
    db.turns().begin_turn(keyed(1, 1, key("k", at(1_000)))).await.unwrap();
    let second = Some(key("l", at(1_000)));
    db.messages().store(user_id(1), said(9, 1, "Hello"), Place::LINEAR, second).await.unwrap();
    assert_eq!(db.count("idempotency_keys").await, 2);

    db.conversations().delete(user_id(1), conversation_id(1), NOW).await.unwrap();

    assert_eq!(db.count("idempotency_keys").await, 0);
}

async fn expired_keys_are_forgotten_by_portions(db: &TestDatabase) {
    db.with_conversation(1).await;
    for n in 1..=5 {
        let key = Some(key(&n.to_string(), at(i64::from(n) * 100)));
        db.messages().store(user_id(1), said(n, 1, "Hello"), Place::LINEAR, key).await.unwrap();
    }

    assert_eq!(db.keys().forget(at(300), 2).await.unwrap(), 2);
    assert_eq!(db.keys().forget(at(300), 2).await.unwrap(), 1);
    assert_eq!(db.keys().forget(at(300), 2).await.unwrap(), 0);
    assert_eq!(db.count("idempotency_keys").await, 2);
    assert_eq!(db.count("messages").await, 5);
}

async fn a_key_of_a_message_that_points_nowhere_is_not_tried_for_ever(db: &TestDatabase) {
    db.with_conversation(1).await;
    let mut message = said(1, 1, "Hello");
    message.parent = Some(message_id(99));

    let refused =
        db.messages().store(user_id(1), message, Place::LINEAR, Some(key("k", at(1_000)))).await;
    assert!(matches!(refused, Err(PortError::Corrupt(_))));
    let mut turn = turn(2, 1);
    let dangling = Message { parent: Some(message_id(99)), ..turn.question.into_message() };
    turn.question = Question::New(dangling);
    assert!(matches!(db.turns().begin_turn(turn).await, Err(PortError::Corrupt(_))));
}

/// On PostgreSQL, where several write at once: two that lock keys in different orders would wait
/// for each other.
#[tokio::test]
async fn forgetting_keys_does_not_wait_for_those_that_are_being_deleted() {
    let db = TestDatabase::postgres().await;
    db.run(async |db| {
        db.with_conversation(1).await;
        for n in 1..=3 {
            let key = Some(key(&n.to_string(), at(100)));
            db.messages().store(user_id(1), said(n, 1, "Hello"), Place::LINEAR, key).await.unwrap();
        }
        let keys = db.keys();
        let deleting = db.db.write(move |tx| {
            Box::pin(async move {
                let delete = "DELETE FROM idempotency_keys WHERE key = '2'";
                tx.execute_unprepared(delete).await.unwrap();
                Ok(timeout(Duration::from_secs(5), keys.forget(at(300), 10)).await)
            })
        });

        let forgotten = deleting.await.unwrap();

        assert_eq!(forgotten.expect("it waits for nobody").unwrap(), 2);
        assert_eq!(db.count("idempotency_keys").await, 0);
    })
    .await;
}

async fn of_many_conversations_with_one_key_one_is_made(db: &TestDatabase) {
    db.with_user(1).await;
    let conversations = db.conversations();
    let made = (1..=20).map(|n| {
        let key = Some(key("k", at(1_000)));
        conversations.insert(conversation(n, 1), key)
    });

    let made: Vec<_> = join_all(made).await.into_iter().map(Result::unwrap).collect();

    assert_eq!((db.count("conversations").await, db.count("feed_events").await), (1, 1));
    let found = db.keys().find(user_id(1), "send", "k", NOW).await.unwrap();
    let (winners, losers): (Vec<_>, Vec<_>) = made.into_iter().partition(Option::is_none);
    assert_eq!(winners.len(), 1);
    assert!(losers.iter().all(|used| *used == found));
    let winner = (1..=20).find(|n| found.unwrap().done == made_by(*n)).unwrap();
    let winner = conversation_id(winner).into();
    assert!(conversations.find(user_id(1), winner).await.unwrap().is_some());
}

fn made_by(n: u32) -> Done {
    Done::Resource(conversation_id(n).as_uuid())
}

async fn a_key_of_something_made_outlives_it(db: &TestDatabase) {
    db.with_user(1).await;
    let conversations = db.conversations();
    let insert = async |n, now: i64, expires: i64| {
        let new = Conversation { created_at: at(now), ..conversation(n, 1) };
        conversations.insert(new, Some(key("k", at(expires)))).await.unwrap()
    };
    assert_eq!(insert(1, 0, 1_000).await, None);
    assert!(conversations.delete(user_id(1), conversation_id(1), at(1)).await.unwrap());

    let used = UsedKey { fingerprint: FINGERPRINT, done: made_by(1) };
    assert_eq!(insert(2, 999, 2_000).await, Some(used));
    assert_eq!(insert(2, 1_000, 2_000).await, None, "it has expired");
    let found = db.keys().find(user_id(1), "send", "k", at(1_000)).await.unwrap();
    assert_eq!(found.unwrap().done, made_by(2));
}
