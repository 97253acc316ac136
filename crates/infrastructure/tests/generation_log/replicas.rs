//! What replicas do for each other.

use repartee_application::ports::{EventKind, GenerationLog};

use crate::{
    logs::{Process, all, begun, end, event, next, numbers, rest, subscribe, write},
    server::{command, eventually, shared_url},
};

#[tokio::test]
async fn any_of_them_serves_a_reply() {
    let url = shared_url();
    let (a, b, c) =
        (Process::start(&url).await, Process::start(&url).await, Process::start(&url).await);
    let id = begun(&*a.log);
    write(&*a.log, id, 1, 10);
    let mut on_a = subscribe(&*a.log, id, 0).await;
    let mut on_b = subscribe(&*b.log, id, 0).await;
    for seq in 1..=10 {
        assert_eq!(next(&mut on_a).await.seq, seq);
        assert_eq!(next(&mut on_b).await.seq, seq);
    }
    drop(on_b);

    let on_c = subscribe(&*c.log, id, 10).await;
    write(&*a.log, id, 11, 19);
    end(&*a.log, id, 20);

    assert_eq!(numbers(&rest(on_a).await), all(11, 20));
    assert_eq!(numbers(&rest(on_c).await), all(11, 20));
}

#[tokio::test]
async fn a_reply_is_readable_after_its_process_stopped() {
    let url = shared_url();
    let (a, b) = (Process::start(&url).await, Process::start(&url).await);
    let id = begun(&*a.log);
    write(&*a.log, id, 1, 199);
    end(&*a.log, id, 200);
    a.stop().await;

    let read = b.log.subscribe(id, 5).await.unwrap().expect("everything was sent before the end");

    assert_eq!(numbers(&rest(read).await), all(6, 200));
}

#[tokio::test]
async fn another_settles_what_a_dead_one_left() {
    let url = shared_url();
    let (dead, b, c) =
        (Process::start(&url).await, Process::start(&url).await, Process::start(&url).await);
    let id = begun(&*dead.log);
    write(&*dead.log, id, 1, 7);
    let mut on_b = subscribe(&*b.log, id, 0).await;
    let on_c = subscribe(&*c.log, id, 3).await;
    for seq in 1..=7 {
        assert_eq!(next(&mut on_b).await.seq, seq);
    }

    let left = b.log.left_behind(id, 4).await.unwrap();
    assert_eq!(numbers(&left), [5, 6, 7]);
    assert_eq!(&*left[2].data, b"delta 7");
    b.log.append(event(id, 8, EventKind::Interrupted));

    assert_eq!(numbers(&rest(on_c).await), [4, 5, 6, 7, 8]);
    let last = rest(on_b).await;
    assert_eq!((last.len(), last[0].kind), (1, EventKind::Interrupted));
    assert_eq!(numbers(&b.log.left_behind(id, 0).await.unwrap()), all(1, 7), "without the end");
    assert!(!b.log.cancel(id), "it was never written there");
}

#[tokio::test]
async fn what_was_left_behind_ends_before_a_gap() {
    let url = shared_url();
    let (a, b) = (Process::start(&url).await, Process::start(&url).await);
    let id = begun(&*a.log);
    write(&*a.log, id, 1, 3_000);
    eventually(async || (b.log.left_behind(id, 2_999).await.unwrap().len() == 1).then_some(()))
        .await;
    command(&url, &["XDEL", &format!("repartee:generation:{id}"), "2500-0"]).await;

    assert_eq!(numbers(&b.log.left_behind(id, 0).await.unwrap()), all(1, 2_499));
    assert!(b.log.left_behind(id, 2_499).await.unwrap().is_empty());
    assert_eq!(numbers(&b.log.left_behind(id, 2_500).await.unwrap()), all(2_501, 3_000));
}

#[tokio::test]
async fn a_reader_is_never_shown_a_gap() {
    let url = shared_url();
    let (a, b) = (Process::start(&url).await, Process::start(&url).await);
    let id = begun(&*a.log);
    write(&*a.log, id, 1, 10);
    eventually(async || (b.log.left_behind(id, 9).await.unwrap().len() == 1).then_some(())).await;
    command(&url, &["XDEL", &format!("repartee:generation:{id}"), "5-0"]).await;
    end(&*a.log, id, 11);

    let read = rest(subscribe(&*b.log, id, 0).await).await;

    assert_eq!(numbers(&read), [1, 2, 3, 4]);
}

#[tokio::test]
async fn one_that_writes_on_after_it_was_settled_changes_nothing_for_readers() {
    let url = shared_url();
    let (zombie, b) = (Process::start(&url).await, Process::start(&url).await);
    let id = begun(&*zombie.log);
    write(&*zombie.log, id, 1, 3);
    let mut reader = subscribe(&*b.log, id, 0).await;
    for _ in 0..3 {
        next(&mut reader).await;
    }

    b.log.append(event(id, 4, EventKind::Interrupted));
    let ended = rest(reader).await;
    write(&*zombie.log, id, 4, 6);
    zombie.stop().await;

    assert_eq!((numbers(&ended), ended[0].kind), (vec![4], EventKind::Interrupted));
    assert_eq!(numbers(&rest(subscribe(&*b.log, id, 0).await).await), [1, 2, 3, 4]);
}

#[tokio::test]
async fn where_the_end_comes_too_late_for_its_number_the_stream_is_given_up() {
    let url = shared_url();
    let (zombie, b) = (Process::start(&url).await, Process::start(&url).await);
    let id = begun(&*zombie.log);
    write(&*zombie.log, id, 1, 6);
    let mut reader = subscribe(&*b.log, id, 0).await;
    for _ in 0..6 {
        next(&mut reader).await;
    }

    b.log.append(event(id, 4, EventKind::Interrupted));

    assert!(rest(reader).await.is_empty(), "the database knows the end");
}

#[tokio::test]
async fn what_is_in_redis_does_not_stay_for_ever() {
    let url = shared_url();
    let a = Process::start(&url).await;
    let id = begun(&*a.log);
    write(&*a.log, id, 1, 2);
    let key = format!("repartee:generation:{id}");
    let ttl = async || match command(&url, &["TTL", &key]).await {
        redis::Value::Int(seconds) if seconds > 0 => Some(seconds),
        _ => None,
    };

    assert!((600..=900).contains(&eventually(ttl).await));
    command(&url, &["EXPIRE", &key, "30"]).await;
    end(&*a.log, id, 3);
    a.stop().await;

    assert!(ttl().await.unwrap() > 600, "ten minutes after the end, and more");
}
