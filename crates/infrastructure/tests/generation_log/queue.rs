//! What happens when there is more to write than Redis takes.

use repartee_application::ports::GenerationLog;
use repartee_infrastructure::redis::QueueLimits;

use crate::{
    logs::{Process, a_new_reply_gets_through, all, begun, end, numbers, rest, subscribe, write},
    server::shared_url,
};

/// The test's runtime has one thread: nothing is sent while it appends.
async fn overflowing() -> (Process, Process) {
    let url = shared_url();
    let limits = QueueLimits { events: 50, ..QueueLimits::default() };
    (Process::with(&url, limits).await, Process::start(&url).await)
}

#[tokio::test]
async fn what_does_not_fit_is_told_here_and_to_nobody_else() {
    let (a, b) = overflowing().await;
    let id = begun(&*a.log);
    write(&*a.log, id, 1, 99);
    end(&*a.log, id, 100);

    assert_eq!(numbers(&rest(subscribe(&*a.log, id, 0).await).await), all(1, 100));
    a_new_reply_gets_through(&a, &b).await;
    assert!(b.log.subscribe(id, 0).await.unwrap().is_none());
}

#[tokio::test]
async fn one_with_a_gap_is_given_up_and_the_others_go_on() {
    let (a, b) = overflowing().await;
    let (cut, whole) = (begun(&*a.log), begun(&*a.log));
    write(&*a.log, whole, 1, 1);
    write(&*a.log, cut, 1, 10);
    let on_cut = subscribe(&*b.log, cut, 0).await;
    let on_whole = subscribe(&*b.log, whole, 0).await;

    write(&*a.log, cut, 11, 99);
    end(&*a.log, cut, 100);
    let seen = numbers(&rest(on_cut).await);
    write(&*a.log, whole, 2, 9);
    end(&*a.log, whole, 10);

    assert_eq!(seen, all(1, seen.len() as u64), "without a gap");
    assert!(seen.len() < 100, "without an end");
    assert_eq!(numbers(&rest(on_whole).await), all(1, 10));
}

#[tokio::test]
async fn what_is_too_long_for_the_queue_is_not_queued() {
    let url = shared_url();
    let limits = QueueLimits { bytes: 100, ..QueueLimits::default() };
    let (a, b) = (Process::with(&url, limits).await, Process::start(&url).await);
    let id = begun(&*a.log);
    write(&*a.log, id, 1, 500);
    a_new_reply_gets_through(&a, &b).await;

    assert!(b.log.subscribe(id, 0).await.unwrap().is_none());
    assert!(b.log.left_behind(id, 0).await.unwrap().is_empty());
}
