//! The contract of `TurnRepository`: the events of a reply while it is written, and after.

use repartee_application::ports::{Checkpoint, EventKind, PortError, TurnRepository};
use repartee_domain::replies::GenerationState;
use sea_orm::{ConnectionTrait, DbBackend};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{at, deltas, event, finished, generation_id, user_id},
};

on_both_databases!(
    events_are_read_after_any_number,
    an_event_reads_back_as_it_was,
    the_first_text_makes_a_reply_streaming,
    checkpoints_of_many_replies_are_stored_at_once,
    a_checkpoint_that_comes_too_late_is_left_out,
    a_checkpoint_stored_again_replaces_the_first,
    an_unknown_generation_has_no_events,
    forgotten_events_leave_the_terminal_one,
    forgetting_goes_by_age_and_by_portions,
    bytes_that_were_tampered_with_are_corrupt,
);

async fn numbers(db: &TestDatabase, n: u32, after: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        let after = numbers.last().copied().unwrap_or(after);
        let events = db.turns().events_after(generation_id(n), after).await.unwrap();
        assert!(events.len() <= 200, "a reader holds a few of them at a time");
        if events.is_empty() {
            return numbers;
        }
        numbers.extend(events.iter().map(|event| event.seq));
    }
}

async fn events_are_read_after_any_number(db: &TestDatabase) {
    let turn = db.with_turn(1).await;
    for (first, last) in [(1, 3), (4, 4), (5, 9)] {
        db.turns().checkpoint(vec![deltas(1, first, last)]).await.unwrap();
    }
    for after in 0..=10 {
        assert_eq!(numbers(db, 1, after).await, (after + 1..=9).collect::<Vec<_>>());
    }

    let end = finished(&turn, 12, Some(deltas(1, 10, 11)));
    db.turns().finish_turn(end).await.unwrap();
    for after in 0..=13 {
        assert_eq!(numbers(db, 1, after).await, (after + 1..=12).collect::<Vec<_>>());
    }
    assert!(numbers(db, 1, u64::MAX).await.is_empty());
}

async fn an_event_reads_back_as_it_was(db: &TestDatabase) {
    db.with_turn(1).await;
    let written = [
        event(1, 1, EventKind::Start, r#"{"v":1}"#),
        event(1, 2, EventKind::Queued, ""),
        event(1, 3, EventKind::Delta, "สวัสดี 🙂"),
    ];
    let checkpoint =
        Checkpoint { generation: generation_id(1), events: written.to_vec(), text: "🙂".into() };
    db.turns().checkpoint(vec![checkpoint]).await.unwrap();

    let read = db.turns().events_after(generation_id(1), 0).await.unwrap();

    assert_eq!(read.len(), 3);
    for (read, written) in read.iter().zip(&written) {
        assert_eq!((read.generation, read.seq), (written.generation, written.seq));
        assert_eq!((read.kind, &read.data), (written.kind, &written.data));
    }
}

async fn the_first_text_makes_a_reply_streaming(db: &TestDatabase) {
    db.with_turn(1).await;
    let state =
        async || db.turns().find(user_id(1), generation_id(1)).await.unwrap().unwrap().state;
    let start = Checkpoint {
        generation: generation_id(1),
        events: vec![event(1, 1, EventKind::Start, "{}")],
        text: String::new(),
    };

    db.turns().checkpoint(vec![start]).await.unwrap();
    assert_eq!(state().await, GenerationState::Queued);
    db.turns().checkpoint(vec![deltas(1, 2, 3)]).await.unwrap();
    assert_eq!(state().await, GenerationState::Streaming);
}

async fn checkpoints_of_many_replies_are_stored_at_once(db: &TestDatabase) {
    for n in 1..=3 {
        db.with_turn(n).await;
    }
    // More rows than one statement takes, and somebody who was deleted.
    let mut checkpoints: Vec<_> = (1..=1_200).map(|seq| deltas(1, seq, seq)).collect();
    checkpoints.extend([deltas(2, 1, 2), deltas(9, 1, 1), deltas(3, 1, 1)]);

    db.turns().checkpoint(checkpoints).await.unwrap();
    db.turns().checkpoint(vec![]).await.unwrap();

    assert_eq!(numbers(db, 1, 0).await.len(), 1_200);
    assert_eq!(numbers(db, 2, 0).await, [1, 2]);
    assert_eq!(numbers(db, 3, 0).await, [1]);
}

async fn a_checkpoint_that_comes_too_late_is_left_out(db: &TestDatabase) {
    let turn = db.with_turn(1).await;
    db.with_turn(2).await;
    db.turns().finish_turn(finished(&turn, 1, None)).await.unwrap();

    db.turns().checkpoint(vec![deltas(1, 1, 3), deltas(2, 1, 3)]).await.unwrap();

    assert_eq!(numbers(db, 1, 0).await, [1]);
    assert_eq!(numbers(db, 2, 0).await, [1, 2, 3]);
    let stored = db.turns().find(user_id(1), generation_id(1)).await.unwrap().unwrap();
    assert_eq!(stored.state, GenerationState::Completed);
}

async fn a_checkpoint_stored_again_replaces_the_first(db: &TestDatabase) {
    db.with_turn(1).await;

    db.turns().checkpoint(vec![deltas(1, 1, 2)]).await.unwrap();
    db.turns().checkpoint(vec![deltas(1, 1, 4)]).await.unwrap();

    assert_eq!(numbers(db, 1, 0).await, [1, 2, 3, 4]);
    let orphan = db.turns().orphan(generation_id(1)).await.unwrap().unwrap();
    assert_eq!((orphan.text.as_str(), orphan.last_seq), ("1 2 3 4 ", 4));
}

async fn an_unknown_generation_has_no_events(db: &TestDatabase) {
    assert!(numbers(db, 1, 0).await.is_empty());
}

async fn forgotten_events_leave_the_terminal_one(db: &TestDatabase) {
    let turn = db.with_turn(1).await;
    db.turns().finish_turn(finished(&turn, 4, Some(deltas(1, 1, 3)))).await.unwrap();

    assert_eq!(db.turns().forget_events(at(101), 10).await.unwrap(), 1);

    assert_eq!(numbers(db, 1, 0).await, [4]);
    assert!(numbers(db, 1, 4).await.is_empty());
    assert_eq!(db.turns().forget_events(at(101), 10).await.unwrap(), 0);
}

async fn forgetting_goes_by_age_and_by_portions(db: &TestDatabase) {
    for n in 1..=4 {
        let turn = db.with_turn(n).await;
        db.turns().checkpoint(vec![deltas(n, 1, 1), deltas(n, 2, 2)]).await.unwrap();
        if n < 4 {
            db.turns().finish_turn(finished(&turn, 3, None)).await.unwrap();
        }
    }

    assert_eq!(db.turns().forget_events(at(100), 10).await.unwrap(), 0);
    assert_eq!(db.turns().forget_events(at(101), 2).await.unwrap(), 2);
    assert_eq!(db.turns().forget_events(at(101), 2).await.unwrap(), 1);
    assert_eq!(numbers(db, 4, 0).await, [1, 2]);
}

async fn bytes_that_were_tampered_with_are_corrupt(db: &TestDatabase) {
    db.with_turn(1).await;
    db.turns().checkpoint(vec![deltas(1, 1, 2)]).await.unwrap();
    db.execute(match db.db.reader().get_database_backend() {
        DbBackend::Sqlite => "UPDATE generation_checkpoints SET events = x'0103ffffff'",
        _ => r"UPDATE generation_checkpoints SET events = '\x0103ffffff'",
    })
    .await;

    let read = db.turns().events_after(generation_id(1), 0).await;

    assert!(matches!(read, Err(PortError::Corrupt(_))));
}
