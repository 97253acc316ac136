//! The contract of `TurnRepository`: a user's running replies, and asking for them to stop.

use repartee_application::ports::{NewTurn, TurnRepository};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{ELSEWHERE, HERE, at, conversation, finished, generation_id, turn, user_id},
};

on_both_databases!(
    a_users_running_replies_are_listed_oldest_first,
    the_process_that_writes_is_asked_to_stop,
    a_reply_that_is_over_is_not_asked,
);

async fn a_users_running_replies_are_listed_oldest_first(db: &TestDatabase) {
    use repartee_application::ports::ConversationRepository;

    db.with_conversation(1).await;
    db.with_turn(9).await;
    let mut turns = Vec::new();
    for n in [3, 2] {
        db.conversations().insert(conversation(n, 1), None).await.unwrap();
        let mut turn = turn(n, n);
        turn.generation.owner = user_id(1);
        db.turns().begin_turn(turn.clone()).await.unwrap();
        turns.push(turn);
    }

    let running = db.turns().running_of(user_id(1)).await.unwrap();
    assert_eq!(running, [turns[1].generation.clone(), turns[0].generation.clone()]);

    db.turns().finish_turn(finished(&turns[1], 2, None)).await.unwrap();
    let running = db.turns().running_of(user_id(1)).await.unwrap();
    assert_eq!(running, [turns[0].generation.clone()]);
}

async fn the_process_that_writes_is_asked_to_stop(db: &TestDatabase) {
    db.with_turn(1).await;
    db.with_conversation(2).await;
    let elsewhere = NewTurn { lease_owner: ELSEWHERE, ..turn(2, 2) };
    db.turns().begin_turn(elsewhere).await.unwrap();
    assert!(db.turns().cancel_requests(ELSEWHERE).await.unwrap().is_empty());

    db.turns().request_cancel(generation_id(2), at(1)).await.unwrap();
    db.turns().request_cancel(generation_id(2), at(2)).await.unwrap();

    assert_eq!(db.turns().cancel_requests(ELSEWHERE).await.unwrap(), [generation_id(2)]);
    assert!(db.turns().cancel_requests(HERE).await.unwrap().is_empty());
}

async fn a_reply_that_is_over_is_not_asked(db: &TestDatabase) {
    let turn = db.with_turn(1).await;
    let turns = db.turns();
    turns.request_cancel(generation_id(1), at(1)).await.unwrap();
    turns.finish_turn(finished(&turn, 2, None)).await.unwrap();
    assert!(turns.cancel_requests(HERE).await.unwrap().is_empty());

    turns.request_cancel(generation_id(1), at(2)).await.unwrap();
    turns.request_cancel(generation_id(7), at(2)).await.unwrap();

    assert!(turns.cancel_requests(HERE).await.unwrap().is_empty());
}
