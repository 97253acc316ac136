//! Many who ask, many who read, many processes.

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use bytes::Bytes;
use repartee_domain::replies::Outcome;
use tokio::time::{Instant, sleep};

use super::{STOP, ms};
use crate::{
    AppError, ErrorKind, IdempotencyKey,
    ports::{
        Checkpoint, Done as Used,
        EventKind::{Delta, Done, Queued as InQueue, Start},
        LoggedEvent, PortError, TurnBegun, UsedKey,
    },
    replies::{
        Begun, NewMessage,
        fixture::{
            ACTOR, CONVERSATION, Fixture,
            Step::{Hang, Text},
            read, unavailable,
        },
    },
};

fn key(text: &str, fingerprint: u8) -> IdempotencyKey {
    IdempotencyKey::parse(text, [fingerprint; 32]).unwrap()
}

/// Of the only conversation there is.
fn fingerprint(fingerprint: u8) -> [u8; 32] {
    key("k", fingerprint).about(CONVERSATION.as_uuid()).fingerprint()
}

async fn send_with(fixture: &Fixture, key: IdempotencyKey) -> Result<Begun, AppError> {
    let message = NewMessage { content: "Why?".into(), ..NewMessage::default() };
    fixture.service.send(&ACTOR, CONVERSATION.into(), message, Some(key)).await
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_asked_for_again_is_the_same_turn() {
    let fixture = Fixture::answering([Ok(vec![Text("Because."), STOP])]);
    let first = send_with(&fixture, key("k", 1)).await.unwrap();
    let generation = first.generation.id;
    let used = UsedKey { fingerprint: fingerprint(1), done: Used::Turn(generation) };
    fixture.keys.0.lock().unwrap().push(("k".into(), used));

    let again = send_with(&fixture, key("k", 1)).await.unwrap();
    assert_eq!((again.generation.id, again.question.id), (generation, first.question.id));
    let whole = read(first.events).await;
    assert_eq!(read(again.events).await, whole);
    let afterwards = send_with(&fixture, key("k", 1)).await.unwrap();
    assert_eq!(read(afterwards.events).await, whole);

    assert_eq!(fixture.turns.0.lock().unwrap().begun.len(), 1);
    assert_eq!(fixture.model.asked.lock().unwrap().len(), 1, "one bill");
}

#[tokio::test(start_paused = true)]
async fn of_two_that_race_with_one_key_the_loser_attaches_to_the_winner() {
    let fixture = Fixture::answering([Ok(vec![Text("Because."), STOP])]);
    let first = send_with(&fixture, key("k", 1)).await.unwrap();
    let used = UsedKey { fingerprint: fingerprint(1), done: Used::Turn(first.generation.id) };
    fixture.turns.0.lock().unwrap().refuse_begin = Some(TurnBegun::KeyUsed(used));

    let second = send_with(&fixture, key("k", 1)).await.unwrap();

    assert_eq!(second.generation.id, first.generation.id);
    assert_eq!(read(second.events).await, read(first.events).await);
}

#[tokio::test(start_paused = true)]
async fn a_key_of_another_request_is_refused() {
    let fixture = Fixture::answering([]);
    let first = send_with(&fixture, key("k", 1)).await.unwrap();
    for done in [Used::Turn(first.generation.id), Used::Message(first.question.id)] {
        let fingerprint = fingerprint(if matches!(done, Used::Turn(_)) { 1 } else { 2 });
        *fixture.keys.0.lock().unwrap() = vec![("k".into(), UsedKey { fingerprint, done })];
        let error = send_with(&fixture, key("k", 2)).await.err().unwrap();
        assert_eq!(error.classify().1, "idempotency_key_reused");
    }
}

#[tokio::test(start_paused = true)]
async fn one_reply_too_many_is_refused_with_a_time_to_come_back() {
    let fixture = Fixture::answering([]);
    fixture.turns.0.lock().unwrap().refuse_begin = Some(TurnBegun::TooManyRunning);

    let error = fixture.send("Why?").await.err().unwrap();

    assert_eq!(error.classify(), (ErrorKind::TooManyRequests, "too_many_generations"));
    assert!(error.retry_after().is_some());
}

#[tokio::test(start_paused = true)]
async fn replies_wait_for_their_turn_and_are_told_where_they_stand() {
    let long = || Ok(vec![Text("One"), ms(10_000), STOP]);
    let fixture = Fixture::answering([long(), long(), Ok(vec![Text("Three"), STOP])]);
    let _first = fixture.send("Why?").await.unwrap();
    let _second = fixture.send("Why?").await.unwrap();

    let third = fixture.send("Why?").await.unwrap();
    sleep(Duration::from_secs(9)).await;
    assert_eq!(fixture.model.asked.lock().unwrap().len(), 2);

    let events = read(third.events).await;
    let told: Vec<_> = events.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
    assert_eq!(told, [(Start, ""), (InQueue, "1"), (Delta, "Three"), (Done, "Three")]);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_waits_for_its_turn_can_be_stopped() {
    let fixture = Fixture::answering([]);
    let _first = fixture.send("Why?").await.unwrap();
    let _second = fixture.send("Why?").await.unwrap();
    let third = fixture.send("Why?").await.unwrap().generation.id;
    sleep(Duration::from_millis(1)).await;

    fixture.service.stop(third).await.unwrap();
    sleep(Duration::from_millis(1)).await;

    let stored = fixture.turns.0.lock().unwrap();
    let end = stored.finished.iter().find(|turn| turn.ended.generation.id == third).unwrap();
    assert_eq!((end.ended.outcome, end.ended.attempts), (Outcome::Cancelled, 0));
    assert_eq!(end.ended.reply.writing.as_ref().unwrap().usage.unwrap().prompt_tokens, 0);
}

#[tokio::test(start_paused = true)]
async fn a_reply_of_another_process_is_asked_to_stop_through_the_database() {
    let fixture = Fixture::answering([]);
    let begun = fixture.send("Why?").await.unwrap();
    fixture.log.writes_elsewhere.store(true, SeqCst);

    fixture.service.stop(begun.generation.id).await.unwrap();

    assert_eq!(fixture.turns.0.lock().unwrap().cancel_requests, [begun.generation.id]);
}

#[tokio::test(start_paused = true)]
async fn a_request_to_stop_is_heeded_within_a_second() {
    let fixture = Fixture::answering([Ok(vec![Text("One"), Hang])]);
    fixture.service.start_upkeep();
    let begun = fixture.send("Why?").await.unwrap();
    sleep(Duration::from_secs(2)).await;
    fixture.turns.0.lock().unwrap().cancel_requests.push(begun.generation.id);

    sleep(Duration::from_millis(300)).await;

    assert_eq!(fixture.finished().ended.outcome, Outcome::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_again_and_again_is_left_alone_for_a_while() {
    let down = || (0..3).map(|_| unavailable());
    let fixture = Fixture::answering((0..10).flat_map(|_| down()));
    for _ in 0..10 {
        fixture.fallback.answers.lock().unwrap().push_back(Ok(vec![Text("Spare."), STOP]));
        fixture.turn().await;
    }
    assert_eq!(fixture.model.asked.lock().unwrap().len(), 30);

    fixture.fallback.answers.lock().unwrap().push_back(Ok(vec![Text("Spare."), STOP]));
    fixture.turn().await;
    assert_eq!(fixture.model.asked.lock().unwrap().len(), 30, "not asked");

    sleep(Duration::from_secs(31)).await;
    fixture.model.answers.lock().unwrap().push_back(Ok(vec![Text("Back."), STOP]));
    fixture.turn().await;
    assert_eq!(fixture.model.asked.lock().unwrap().len(), 31);
    let stored = fixture.turns.0.lock().unwrap();
    let last = &stored.finished.last().unwrap().ended;
    assert_eq!((last.reply.writing.as_ref().unwrap().model.as_str(), last.attempts), ("main", 1));
}

#[tokio::test(start_paused = true)]
async fn what_only_the_log_knows_is_settled_too_and_the_prompt_is_counted() {
    let fixture = Fixture::answering([]);
    let _begun = fixture.send("Why?").await.unwrap();
    let orphan = fixture.left(7, "one two ", 3);
    let generation = orphan.generation.id;
    let event = |seq, text: &'static str| {
        Arc::new(LoggedEvent::new(generation, seq, Delta, Bytes::from_static(text.as_bytes())))
    };
    *fixture.log.left_behind.lock().unwrap() =
        vec![event(2, "one "), event(3, "two "), event(4, "three")];
    fixture.turns.0.lock().unwrap().orphans.push(orphan);

    fixture.service.settle().await.unwrap();

    let finished = fixture.finished();
    assert_eq!(finished.ended.reply.content, "one two three");
    assert_eq!(finished.terminal.seq, 5);
    assert_eq!(finished.unsaved.unwrap().events.len(), 1);
    let usage = finished.ended.reply.writing.unwrap().usage.unwrap();
    // "Be kind.", "Talk of tea." and "Why?".
    assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.estimated), (6, 3, true));
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_written_after_all_is_not_settled_and_those_behind_it_are() {
    let fixture = Fixture::answering([]);
    let _begun = fixture.send("Why?").await.unwrap();
    let (late, left) = (fixture.left(7, "one ", 2), fixture.left(8, "", 1));
    let two = LoggedEvent::new(late.generation.id, 3, Delta, Bytes::from_static(b"two "));
    let checkpoint = Checkpoint {
        generation: late.generation.id,
        events: vec![Arc::new(two)],
        text: "two ".into(),
    };
    let id = left.generation.id;
    {
        let mut stored = fixture.turns.0.lock().unwrap();
        stored.checkpoints.push((Instant::now(), checkpoint));
        stored.orphans = vec![late, left];
    }

    assert_eq!(fixture.service.settle().await.unwrap(), 1);

    assert_eq!(fixture.finished().ended.generation.id, id);
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_settled_holds_up_no_other() {
    let fixture = Fixture::answering([]);
    let _begun = fixture.send("Why?").await.unwrap();
    let (bad, good) = (fixture.left(7, "", 1), fixture.left(8, "", 1));
    let id = good.generation.id;
    {
        let mut stored = fixture.turns.0.lock().unwrap();
        stored.refuse_finish.push_back(PortError::Corrupt("unreadable".into()));
        stored.orphans = vec![bad, good];
    }

    assert_eq!(fixture.service.settle().await.unwrap(), 1);

    assert_eq!(fixture.finished().ended.generation.id, id);
}

#[tokio::test(start_paused = true)]
async fn a_reply_in_hand_is_not_settled_however_late_its_lease_is_renewed() {
    let fixture = Fixture::answering([]);
    let begun = fixture.send("Why?").await.unwrap();
    let mine = fixture.left(begun.generation.id.as_uuid().as_u128(), "", 1);
    fixture.turns.0.lock().unwrap().orphans.push(mine);

    assert_eq!(fixture.service.settle().await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_leases_of_replies_in_hand_are_renewed() {
    let fixture = Fixture::answering([Ok(vec![ms(7_000), Text("Because."), STOP])]);
    let begun = fixture.send("Why?").await.unwrap();
    fixture.service.start_upkeep();

    sleep(Duration::from_secs(12)).await;

    // At once, after five seconds, and not when it was over.
    let renewed = &fixture.turns.0.lock().unwrap().renewed;
    assert_eq!(*renewed, [[begun.generation.id], [begun.generation.id]]);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_back_is_asked_by_everybody_while_its_first_answer_goes_on() {
    let fixture = Fixture::answering((0..100).map(|_| unavailable()));
    for _ in 0..10 {
        fixture.turn().await;
    }
    *fixture.model.answers.lock().unwrap() =
        [Ok(vec![Text("Back."), Hang]), Ok(vec![Text("Indeed."), STOP])].into();
    sleep(Duration::from_secs(31)).await;

    let _first = fixture.send("Why?").await.unwrap();
    sleep(Duration::from_millis(1)).await;

    assert_eq!(fixture.turn().await.last().unwrap().1, "Indeed.");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_try_of_a_provider_is_made_again_by_the_next_who_asks() {
    let fixture = Fixture::answering((0..100).map(|_| unavailable()));
    for _ in 0..10 {
        fixture.turn().await;
    }
    *fixture.model.answers.lock().unwrap() = [Ok(vec![Hang]), Ok(vec![Text("Back."), STOP])].into();
    sleep(Duration::from_secs(31)).await;
    let first = fixture.send("Why?").await.unwrap().generation.id;
    sleep(Duration::from_millis(1)).await;

    fixture.service.stop(first).await.unwrap();

    assert_eq!(fixture.turn().await.last().unwrap().1, "Back.");
}

#[tokio::test(start_paused = true)]
async fn who_asked_reads_on_where_it_is_stored_when_the_log_has_let_go_of_it() {
    let fixture = Fixture::answering([Ok(vec![Text("Be"), ms(300), Text("cause."), STOP])]);
    let begun = fixture.send("Why?").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    fixture.log.forgotten.store(3, SeqCst);

    let events = read(begun.events).await;

    let told: Vec<_> = events.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
    assert_eq!(told, [(Start, ""), (Delta, "Be"), (Delta, "cause."), (Done, "Because.")]);
}
