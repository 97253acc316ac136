//! The contract of `FeedLog::watch`: who watches is woken, wherever a change was stored.

use std::pin::pin;

use futures::{FutureExt, StreamExt};
use repartee_application::ports::{
    ConversationRepository, FeedLog, LoginSessionRepository, Watched,
};
use repartee_infrastructure::persistence::{
    SeaConversationRepository, SeaFeedLog, SeaLoginSessionRepository,
};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{NOW, conversation, entry, password, session, session_id, user_id},
};

on_both_databases!(
    who_watches_is_woken_at_once_and_after_each_change,
    who_waits_for_the_end_of_a_session_hears_of_it,
    every_ring_of_this_process_is_heard,
    nobody_is_polled_for_who_stopped_watching,
);

async fn who_watches_is_woken_at_once_and_after_each_change(db: &TestDatabase) {
    db.with_user(1).await;
    let mut watching = db.feed().watch(user_id(1), Watched::Changes);
    watching.next().await.unwrap();

    for n in 1..=3 {
        db.conversations().insert(conversation(n, 1), None).await.unwrap();
        // The repository rang before it answered.
        assert!(watching.next().now_or_never().is_some());
    }
}

async fn who_waits_for_the_end_of_a_session_hears_of_it(db: &TestDatabase) {
    db.with_user(1).await;
    db.sessions().open(session(1, 1), password("hash"), entry()).await.unwrap();
    let feed = db.feed();
    let mut ends = feed.watch(user_id(1), Watched::SessionEnds);
    let mut changes = feed.watch(user_id(1), Watched::Changes);
    ends.next().await.unwrap();
    changes.next().await.unwrap();
    db.conversations().insert(conversation(1, 1), None).await.unwrap();
    assert!(ends.next().now_or_never().is_none());
    assert!(changes.next().now_or_never().is_some());

    db.sessions().end(session_id(1), NOW, entry()).await.unwrap();

    assert!(ends.next().now_or_never().is_some());
    assert!(changes.next().now_or_never().is_some());
}

async fn every_ring_of_this_process_is_heard(db: &TestDatabase) {
    let mut rings = db.db.bell().rings();
    db.with_user(1).await;

    db.conversations().insert(conversation(1, 1), None).await.unwrap();
    db.db.bell().ring(user_id(2));

    assert_eq!(rings.try_recv(), Ok(user_id(1)));
    assert!(rings.try_recv().is_err());
}

async fn nobody_is_polled_for_who_stopped_watching(db: &TestDatabase) {
    let feed = db.feed();
    for owner in 1..=3 {
        let mut watching = feed.watch(user_id(owner), Watched::Changes);
        watching.next().await.unwrap();
    }

    // Would wait for ever for a task that goes on.
    db.tasks.close_and_wait().await;
}

/// Runs a test with a second process on the same database.
async fn with_another_process(
    test: impl AsyncFnOnce(&TestDatabase, &repartee_infrastructure::persistence::Database),
) {
    let db = TestDatabase::postgres().await;
    db.run(async |db| {
        let elsewhere = db.elsewhere().await;
        test(db, &elsewhere).await;
        elsewhere.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_change_that_another_process_stored_wakes_who_watches() {
    with_another_process(async |db, elsewhere| {
        db.with_conversation(1).await;
        let feed = db.feed();
        let mut watching = pin!(feed.watch(user_id(1), Watched::Changes));
        let mut cursor = 0;

        for n in 2..=4 {
            let conversations = SeaConversationRepository::new(elsewhere.clone());
            conversations.insert(conversation(n, 1), None).await.unwrap();
            while cursor < u64::from(n) {
                watching.next().await.unwrap();
                cursor = feed.newest(user_id(1)).await.unwrap();
            }
        }
    })
    .await;
}

#[tokio::test]
async fn who_watches_first_is_told_by_a_process_that_starts_later() {
    with_another_process(async |db, elsewhere| {
        db.with_user(1).await;
        let here = db.feed();
        let there = SeaFeedLog::new(elsewhere.clone(), std::sync::Arc::new(db.tasks.clone()));
        let mut one = here.watch(user_id(1), Watched::Changes);
        let mut two = there.watch(user_id(1), Watched::Changes);
        one.next().await.unwrap();
        two.next().await.unwrap();

        // The user's first change: there was no row to compare with.
        db.conversations().insert(conversation(1, 1), None).await.unwrap();

        assert!(one.next().now_or_never().is_some());
        two.next().await.unwrap();
        assert_eq!(there.newest(user_id(1)).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_session_that_another_process_ended_is_nobody_once_that_is_heard() {
    with_another_process(async |db, elsewhere| {
        db.with_user(1).await;
        let sessions = db.sessions();
        sessions.open(session(1, 1), password("hash"), entry()).await.unwrap();
        db.conversations().insert(conversation(1, 1), None).await.unwrap();
        let feed = db.feed();
        let mut ends = feed.watch(user_id(1), Watched::SessionEnds);
        // At once, and when the first number is known.
        ends.next().await.unwrap();
        ends.next().await.unwrap();
        assert!(sessions.principal(session_id(1), NOW).await.unwrap().is_some());

        SeaLoginSessionRepository::new(elsewhere.clone())
            .end(session_id(1), NOW, entry())
            .await
            .unwrap();
        ends.next().await.unwrap();

        assert_eq!(sessions.principal(session_id(1), NOW).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn who_watches_is_woken_though_the_writer_went_away() {
    let db = TestDatabase::sqlite().await;
    db.run(async |db| {
        db.with_user(1).await;
        let mut watching = db.feed().watch(user_id(1), Watched::Changes);
        watching.next().await.unwrap();

        // Asks, and is dropped, as a rule before there is an answer.
        drop(db.conversations().insert(conversation(1, 1), None).now_or_never());

        watching.next().await.unwrap();
        assert_eq!(db.feed().newest(user_id(1)).await.unwrap(), 1);
    })
    .await;
}
