//! The contract of `TurnRepository`: so many replies of a user at once, and no more.

use futures::future::join_all;
use repartee_application::ports::{ConversationRepository, NewTurn, TurnBegun, TurnRepository};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{conversation, finished, generation_id, turn, user_id},
};

on_both_databases!(
    of_many_turns_begun_at_once_as_many_begin_as_may_run,
    a_reply_that_is_over_makes_room,
    others_do_not_count,
    a_reply_in_progress_is_told_before_the_cap,
);

/// Turn `n` in conversation `n`, which is user 1's.
fn capped(n: u32, most_running: u32) -> NewTurn {
    let mut turn = NewTurn { most_running, ..turn(n, n) };
    turn.generation.owner = user_id(1);
    turn
}

async fn with_conversations(db: &TestDatabase, count: u32) {
    db.with_user(1).await;
    for n in 1..=count {
        db.conversations().insert(conversation(n, 1), None).await.unwrap();
    }
}

async fn of_many_turns_begun_at_once_as_many_begin_as_may_run(db: &TestDatabase) {
    with_conversations(db, 20).await;
    let turns = db.turns();

    let begun = join_all((1..=20).map(|n| turns.begin_turn(capped(n, 3)))).await;

    let begun: Vec<_> = begun.into_iter().map(Result::unwrap).collect();
    let count = |what| begun.iter().filter(|begun| **begun == what).count();
    assert_eq!((count(TurnBegun::Begun), count(TurnBegun::TooManyRunning)), (3, 17));
    assert_eq!((db.count("generations").await, db.count("messages").await), (3, 6));
}

async fn a_reply_that_is_over_makes_room(db: &TestDatabase) {
    with_conversations(db, 2).await;
    let first = capped(1, 1);
    assert_eq!(db.turns().begin_turn(first.clone()).await.unwrap(), TurnBegun::Begun);
    assert_eq!(db.turns().begin_turn(capped(2, 1)).await.unwrap(), TurnBegun::TooManyRunning);

    db.turns().finish_turn(finished(&first, 2, None)).await.unwrap();

    assert_eq!(db.turns().begin_turn(capped(2, 1)).await.unwrap(), TurnBegun::Begun);
}

async fn others_do_not_count(db: &TestDatabase) {
    db.with_turn(9).await;
    with_conversations(db, 1).await;

    assert_eq!(db.turns().begin_turn(capped(1, 1)).await.unwrap(), TurnBegun::Begun);
}

async fn a_reply_in_progress_is_told_before_the_cap(db: &TestDatabase) {
    with_conversations(db, 1).await;
    db.turns().begin_turn(capped(1, 1)).await.unwrap();
    let mut second = NewTurn { most_running: 1, ..turn(2, 1) };
    second.generation.owner = user_id(1);

    let begun = db.turns().begin_turn(second).await.unwrap();

    assert_eq!(begun, TurnBegun::ReplyInProgress(generation_id(1)));
}
