//! What every log does.

use std::sync::Arc;

use futures::{StreamExt, future};
use repartee_application::ports::EventKind;

use crate::logs::{
    Logs, all, begun, end, event, new_id, next, numbers, on_all_logs, rest, subscribe, write,
};

on_all_logs!(
    events_come_in_order_as_they_were_written,
    a_reader_may_go_on_after_any_number,
    what_is_there_comes_and_then_what_follows,
    a_reader_that_stands_still_holds_nobody_up,
    many_readers_share_each_event,
    nothing_follows_the_terminal_event,
    a_reply_that_nobody_wrote_is_unknown,
    who_came_before_the_reply_gets_it_when_they_come_again,
    whoever_writes_a_reply_is_told_to_stop,
    replies_do_not_mix,
    a_reader_ahead_of_the_log_waits_for_its_number,
    readers_that_go_away_and_come_back_miss_nothing,
);

async fn events_come_in_order_as_they_were_written(logs: &Logs) {
    let id = begun(&*logs.writer);
    logs.writer.append(event(id, 1, EventKind::Start));
    logs.writer.append(event(id, 2, EventKind::Queued));
    logs.writer.append(event(id, 3, EventKind::Delta));
    logs.writer.append(event(id, 4, EventKind::Failed));

    let read = rest(logs.subscribe(id, 0).await).await;

    let told: Vec<_> = read.iter().map(|e| (e.generation, e.seq, e.kind)).collect();
    assert_eq!(
        told,
        [
            (id, 1, EventKind::Start),
            (id, 2, EventKind::Queued),
            (id, 3, EventKind::Delta),
            (id, 4, EventKind::Failed)
        ]
    );
    assert_eq!(&*read[2].data, b"delta 3");
}

async fn a_reader_may_go_on_after_any_number(logs: &Logs) {
    let id = begun(&*logs.writer);
    write(&*logs.writer, id, 1, 20);
    // It has to get here before many ask for it at once.
    drop(logs.subscribe(id, 0).await);
    let readers = future::join_all((0..=22).map(|after| logs.subscribe(id, after))).await;

    write(&*logs.writer, id, 21, 39);
    end(&*logs.writer, id, 40);

    for (after, reader) in (0..).zip(readers) {
        assert_eq!(numbers(&rest(reader).await), all(after + 1, 40));
    }
    for after in 0..40 {
        assert_eq!(numbers(&rest(logs.subscribe(id, after).await).await), all(after + 1, 40));
    }
    assert!(rest(logs.subscribe(id, 40).await).await.is_empty());
}

async fn what_is_there_comes_and_then_what_follows(logs: &Logs) {
    let id = begun(&*logs.writer);
    write(&*logs.writer, id, 1, 2);
    let mut reader = logs.subscribe(id, 0).await;
    assert_eq!([next(&mut reader).await.seq, next(&mut reader).await.seq], [1, 2]);

    for seq in 3..=10 {
        write(&*logs.writer, id, seq, seq);
        assert_eq!(next(&mut reader).await.seq, seq);
    }
    end(&*logs.writer, id, 11);

    assert_eq!(numbers(&rest(reader).await), [11]);
}

async fn a_reader_that_stands_still_holds_nobody_up(logs: &Logs) {
    let id = begun(&*logs.writer);
    write(&*logs.writer, id, 1, 1);
    let mut still = logs.subscribe(id, 0).await;
    next(&mut still).await;
    let moving = logs.subscribe(id, 0).await;

    // As many as a log keeps; who is further behind reads what is stored.
    write(&*logs.writer, id, 2, 199);
    end(&*logs.writer, id, 200);

    assert_eq!(numbers(&rest(moving).await), all(1, 200));
    assert_eq!(numbers(&rest(still).await), all(2, 200));
}

async fn many_readers_share_each_event(logs: &Logs) {
    let id = begun(&*logs.writer);
    write(&*logs.writer, id, 1, 1);
    let first = logs.subscribe(id, 0).await;
    let others = future::join_all((0..50).map(|_| logs.subscribe(id, 0))).await;
    write(&*logs.writer, id, 2, 9);
    end(&*logs.writer, id, 10);

    let first = rest(first).await;
    for other in others {
        let other = rest(other).await;
        assert_eq!(other.len(), 10);
        assert!(first.iter().zip(&other).all(|(a, b)| Arc::ptr_eq(a, b)));
    }
}

async fn nothing_follows_the_terminal_event(logs: &Logs) {
    let id = begun(&*logs.writer);
    write(&*logs.writer, id, 1, 2);
    end(&*logs.writer, id, 3);
    write(&*logs.writer, id, 4, 5);
    logs.writer.append(event(id, 6, EventKind::Cancelled));

    let read = rest(logs.subscribe(id, 0).await).await;

    assert_eq!(numbers(&read), [1, 2, 3]);
    assert_eq!(read[2].kind, EventKind::Done);
}

async fn a_reply_that_nobody_wrote_is_unknown(logs: &Logs) {
    let unknown = new_id();
    assert!(logs.reader.subscribe(unknown, 0).await.unwrap().is_none());
    assert!(!logs.reader.cancel(unknown));
    assert!(logs.reader.left_behind(unknown, 0).await.unwrap().is_empty());
}

async fn who_came_before_the_reply_gets_it_when_they_come_again(logs: &Logs) {
    let id = new_id();
    for _ in 0..3 {
        assert!(logs.reader.subscribe(id, 0).await.unwrap().is_none());
    }

    logs.writer.open(id);
    write(&*logs.writer, id, 1, 2);
    let mut reader = logs.subscribe(id, 0).await;
    assert_eq!([next(&mut reader).await.seq, next(&mut reader).await.seq], [1, 2]);
    write(&*logs.writer, id, 3, 3);
    assert_eq!(next(&mut reader).await.seq, 3);
    end(&*logs.writer, id, 4);

    assert_eq!(numbers(&rest(reader).await), [4]);
}

async fn whoever_writes_a_reply_is_told_to_stop(logs: &Logs) {
    let (asked, other) = (new_id(), new_id());
    let (told, not_told) = (logs.writer.open(asked), logs.writer.open(other));

    assert!(logs.writer.cancel(asked));
    assert!(logs.writer.cancel(asked));

    assert!(told.is_cancelled() && !not_told.is_cancelled());
    assert!(logs.writer.open(asked).is_cancelled());
}

async fn replies_do_not_mix(logs: &Logs) {
    let replies: Vec<_> = (0..20).map(|_| begun(&*logs.writer)).collect();
    for seq in 1..=30 {
        for id in &replies {
            write(&*logs.writer, *id, seq, seq);
        }
    }
    let readers = future::join_all(replies.iter().map(|id| logs.subscribe(*id, 0))).await;
    for id in &replies {
        end(&*logs.writer, *id, 31);
    }
    for (id, reader) in replies.into_iter().zip(readers) {
        let read = rest(reader).await;
        assert_eq!(numbers(&read), all(1, 31));
        assert!(read.iter().all(|event| event.generation == id));
    }
}

async fn a_reader_ahead_of_the_log_waits_for_its_number(logs: &Logs) {
    let id = begun(&*logs.writer);
    write(&*logs.writer, id, 1, 2);
    let ahead = logs.subscribe(id, 4).await;
    let far_ahead = logs.subscribe(id, u64::MAX).await;

    write(&*logs.writer, id, 3, 5);
    end(&*logs.writer, id, 6);

    assert_eq!(numbers(&rest(ahead).await), [5, 6]);
    assert!(rest(far_ahead).await.is_empty());
}

async fn readers_that_go_away_and_come_back_miss_nothing(logs: &Logs) {
    let id = begun(&*logs.writer);
    write(&*logs.writer, id, 1, 1);
    let readers = (0..8_usize).map(|reader| async move {
        let mut seen = Vec::new();
        while seen.len() < 200 {
            let events = subscribe(&*logs.reader, id, seen.len() as u64).await;
            let some: Vec<_> = events.take(7 + reader).collect().await;
            seen.extend(some.iter().map(|event| event.seq));
        }
        assert_eq!(seen, all(1, 200));
    });
    let writing = async {
        for seq in 2..=199 {
            write(&*logs.writer, id, seq, seq);
            tokio::task::yield_now().await;
        }
        end(&*logs.writer, id, 200);
    };
    crate::server::soon(future::join(future::join_all(readers), writing)).await;
}
