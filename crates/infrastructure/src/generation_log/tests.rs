use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future};
use proptest::prelude::*;
use repartee_application::ports::EventKind;
use uuid::Uuid;

use super::*;

/// Milliseconds since 1970, set by hand.
#[derive(Default)]
struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

impl HandClock {
    fn advance(&self, by: TimeDelta) {
        self.0.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }
}

fn id(n: u128) -> GenerationId {
    GenerationId::from_uuid(Uuid::from_u128(n))
}

fn event(n: u128, seq: u64, kind: EventKind) -> Arc<LoggedEvent> {
    Arc::new(LoggedEvent::new(id(n), seq, kind, Bytes::from(seq.to_string())))
}

fn log() -> LocalGenerationLog {
    LocalGenerationLog::new(Arc::<HandClock>::default(), Retention::default())
}

/// Numbers `from..=to`; the last one is terminal where `ends` says so.
fn write(log: &LocalGenerationLog, n: u128, from: u64, to: u64, ends: bool) {
    for seq in from..=to {
        let kind = if ends && seq == to { EventKind::Done } else { EventKind::Delta };
        log.append(event(n, seq, kind));
    }
}

async fn subscribe(log: &LocalGenerationLog, n: u128, after: u64) -> EventStream {
    log.subscribe(id(n), after).await.unwrap().unwrap()
}

async fn numbers(stream: EventStream) -> Vec<u64> {
    stream.map(|event| event.seq).collect().await
}

fn all(first: u64, last: u64) -> Vec<u64> {
    (first..=last).collect()
}

async fn is_held(log: &LocalGenerationLog, n: u128) -> bool {
    log.subscribe(id(n), 0).await.unwrap().is_some()
}

#[tokio::test]
async fn a_reader_gets_what_is_there_and_then_what_comes() {
    let log = log();
    log.open(id(1));
    write(&log, 1, 1, 2, false);
    let mut reader = subscribe(&log, 1, 0).await;

    assert_eq!(reader.next().await.unwrap().seq, 1);
    assert_eq!(reader.next().await.unwrap().seq, 2);
    assert!(reader.next().now_or_never().is_none());
    write(&log, 1, 3, 4, true);

    assert_eq!(numbers(reader).await, [3, 4]);
}

#[tokio::test]
async fn every_reader_shares_the_bytes() {
    let log = log();
    log.open(id(1));
    let written = event(1, 1, EventKind::Done);
    log.append(Arc::clone(&written));

    for _ in 0..3 {
        let read = subscribe(&log, 1, 0).await.next().await.unwrap();
        assert!(Arc::ptr_eq(&read, &written));
    }
}

#[tokio::test]
async fn a_reader_that_stands_still_holds_up_neither_the_writer_nor_the_others() {
    let log = log();
    log.open(id(1));
    let still = subscribe(&log, 1, 0).await;
    let moving = subscribe(&log, 1, 0).await;

    write(&log, 1, 1, 1_000, true);

    assert_eq!(numbers(moving).await.len(), 1_000);
    assert_eq!(numbers(still).await.len(), 1_000);
}

#[tokio::test]
async fn a_reader_ahead_of_the_log_waits_for_its_number() {
    let log = log();
    log.open(id(1));
    write(&log, 1, 1, 2, false);
    let ahead = subscribe(&log, 1, 4).await;
    let far_ahead = subscribe(&log, 1, u64::MAX).await;

    write(&log, 1, 3, 6, true);

    assert_eq!(numbers(ahead).await, [5, 6]);
    assert_eq!(numbers(far_ahead).await, [0; 0]);
}

#[tokio::test]
async fn nothing_follows_the_terminal_event() {
    let log = log();
    log.open(id(1));
    write(&log, 1, 1, 2, true);
    write(&log, 1, 3, 5, true);

    assert_eq!(numbers(subscribe(&log, 1, 0).await).await, [1, 2]);
}

#[tokio::test]
async fn a_reply_that_is_stored_otherwise_is_kept_for_those_only_who_read_it() {
    let log = log();
    log.open(id(1));
    write(&log, 1, 1, 4, false);
    let reading = subscribe(&log, 1, 0).await;
    // Somebody else knew of two events when they ended it.
    log.append(event(1, 3, EventKind::Interrupted));

    assert_eq!(numbers(reading).await, [1, 2, 3, 4, 5]);
    assert!(log.subscribe(id(1), 0).await.unwrap().is_none());
}

#[tokio::test]
async fn of_a_long_reply_that_is_stored_the_newest_events_are_kept() {
    let log = log();
    log.open(id(1));
    write(&log, 1, 1, 1_000, false);
    let slow = subscribe(&log, 1, 0).await;
    log.stored(id(1), 500);
    log.stored(id(2), 500);
    assert_eq!(numbers(subscribe(&log, 1, 499).await.take(1).boxed()).await, [0; 0]);
    assert_eq!(numbers(subscribe(&log, 1, 500).await.take(1).boxed()).await, [501]);

    log.stored(id(1), 1_000);
    write(&log, 1, 1_001, 1_002, true);

    // Who is behind goes on where it is stored.
    assert_eq!(numbers(slow).await, [0; 0]);
    let near = numbers(subscribe(&log, 1, 1_000 - 256).await).await;
    assert!(near.into_iter().eq(745..=1_002));
}

#[tokio::test]
async fn an_event_out_of_turn_shifts_no_number() {
    let log = log();
    log.open(id(1));
    write(&log, 1, 1, 2, false);
    log.append(event(1, 2, EventKind::Delta));
    log.append(event(1, 9, EventKind::Delta));
    write(&log, 1, 3, 4, true);

    assert_eq!(numbers(subscribe(&log, 1, 0).await).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_reply_that_was_never_opened_is_not_held() {
    let log = log();
    write(&log, 1, 1, 3, true);

    assert!(!is_held(&log, 1).await);
    assert!(!log.cancel(id(1)));
}

#[tokio::test]
async fn whoever_writes_a_reply_is_told_to_stop() {
    let log = log();
    let (asked, other) = (log.open(id(1)), log.open(id(2)));

    assert!(log.cancel(id(1)));
    assert!(log.cancel(id(1)));

    assert!(asked.is_cancelled() && !other.is_cancelled());
    assert!(log.open(id(1)).is_cancelled());
}

#[tokio::test]
async fn a_reply_stays_readable_for_a_while_after_its_end() {
    let clock = Arc::new(HandClock::default());
    let log = LocalGenerationLog::new(clock.clone(), Retention::default());
    log.open(id(1));
    log.open(id(2));
    write(&log, 1, 1, 3, true);

    clock.advance(TimeDelta::minutes(10) - TimeDelta::milliseconds(1));
    assert!(is_held(&log, 1).await);
    let reader = subscribe(&log, 1, 0).await;
    clock.advance(TimeDelta::milliseconds(1));

    assert!(!is_held(&log, 1).await);
    assert!(is_held(&log, 2).await, "one that is being written stays, however old");
    assert_eq!(numbers(reader).await, [1, 2, 3]);
}

#[tokio::test]
async fn the_oldest_go_when_there_is_too_much() {
    let retention = Retention { bytes: 3_000, ..Retention::default() };
    let log = LocalGenerationLog::new(Arc::<HandClock>::default(), retention);
    for n in 1..=3 {
        log.open(id(n));
    }
    for n in [2, 1, 3] {
        // In each envelope, too.
        let data = Bytes::from(vec![b'x'; 300]);
        log.append(Arc::new(LoggedEvent::new(id(n), 1, EventKind::Done, data)));
    }
    log.open(id(4));
    write(&log, 4, 1, 1_000, false);

    let held = future::join_all((1..=4).map(|n| is_held(&log, n))).await;
    assert_eq!(held, [true, false, true, true]);
}

#[tokio::test]
async fn readers_that_went_away_leave_nothing_behind() {
    let log = log();
    log.open(id(1));
    let entry = log.entry(id(1)).unwrap();
    for _ in 0..100 {
        let mut reader = subscribe(&log, 1, 0).await;
        assert!(reader.next().now_or_never().is_none());
    }

    assert_eq!(Arc::strong_count(&entry), 2, "the log's and the test's own");
}

#[tokio::test]
async fn what_is_let_go_is_freed() {
    let clock = Arc::new(HandClock::default());
    let log = LocalGenerationLog::new(clock.clone(), Retention::default());
    log.open(id(1));
    let terminal = event(1, 1, EventKind::Cancelled);
    log.append(Arc::clone(&terminal));
    clock.advance(TimeDelta::minutes(10));
    log.open(id(2));

    assert_eq!(Arc::strong_count(&terminal), 1);
    assert_eq!(lock(&log.state).entries.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_that_come_at_any_moment_miss_nothing() {
    const EVENTS: u64 = 2_000;
    let log = Arc::new(log());
    log.open(id(1));
    let writer = {
        let log = Arc::clone(&log);
        tokio::task::spawn_blocking(move || write(&log, 1, 1, EVENTS, true))
    };
    let readers = (0..64u64).map(|reader| {
        let log = Arc::clone(&log);
        async move {
            let after = reader * 7;
            for _ in 0..reader {
                tokio::task::yield_now().await;
            }
            // One that leaves in the middle and comes back, as a browser does.
            let mut seen = Vec::new();
            let mut first = subscribe(&log, 1, after).await.take(50);
            while let Some(event) = first.next().await {
                seen.push(event.seq);
            }
            seen.extend(numbers(subscribe(&log, 1, after + 50).await).await);
            assert_eq!(seen, all(after + 1, EVENTS));
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    for reader in readers {
        tasks.spawn(reader);
    }
    tasks.join_all().await;
    writer.await.unwrap();
}

proptest! {
    #[test]
    fn any_number_gives_exactly_the_rest(before in 0u64..20, later in 1u64..20, after in 0u64..45) {
        let log = log();
        log.open(id(1));
        write(&log, 1, 1, before, false);
        let reader = subscribe(&log, 1, after).now_or_never().unwrap();
        write(&log, 1, before + 1, before + later, true);
        let rest = all(after + 1, before + later);
        prop_assert_eq!(numbers(reader).now_or_never(), Some(rest));
    }

    #[test]
    fn however_reading_and_writing_alternate_nothing_is_lost(steps in prop::collection::vec(0usize..4, 0..80)) {
        let log = log();
        log.open(id(1));
        let mut readers: Vec<(EventStream, Vec<u64>)> = Vec::new();
        let mut last = 0;
        for step in steps {
            match step {
                0 => readers.push((subscribe(&log, 1, 0).now_or_never().unwrap(), Vec::new())),
                1 => {
                    last += 1;
                    write(&log, 1, last, last, false);
                }
                _ => {
                    for (reader, seen) in readers.iter_mut().skip(step - 2) {
                        seen.extend(reader.next().now_or_never().flatten().map(|event| event.seq));
                    }
                }
            }
        }
        write(&log, 1, last + 1, last + 1, true);
        for (reader, mut seen) in readers {
            seen.extend(numbers(reader).now_or_never().unwrap());
            prop_assert_eq!(seen, all(1, last + 1));
        }
    }
}
