//! The contract of `TurnRepository`: replies whose process went away.

use repartee_application::ports::{NewTurn, Orphan, PortError, TurnRepository};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{ELSEWHERE, HERE, at, deltas, finished, generation_id, turn},
};

on_both_databases!(
    an_orphan_comes_with_what_was_written,
    a_lease_that_ran_out_is_told_whoever_held_it,
    nothing_is_settled_that_somebody_still_writes,
    a_renewed_lease_keeps_a_reply_from_others,
    the_oldest_orphans_come_first,
    a_reply_that_is_over_is_no_orphan,
);

/// Turn `n`, begun by another process, whose lease ends with the second `until`.
async fn begun_elsewhere(db: &TestDatabase, n: u32, until: i64) -> NewTurn {
    db.with_conversation(n).await;
    let turn = NewTurn { lease_owner: ELSEWHERE, lease_until: at(until), ..turn(n, n) };
    db.turns().begin_turn(turn.clone()).await.unwrap();
    turn
}

async fn orphans(db: &TestDatabase, seconds: i64, limit: u32) -> Vec<Orphan> {
    db.turns().orphans(HERE, at(seconds), limit).await.unwrap()
}

fn ids(orphans: &[Orphan]) -> Vec<repartee_domain::GenerationId> {
    orphans.iter().map(|orphan| orphan.generation.id).collect()
}

async fn an_orphan_comes_with_what_was_written(db: &TestDatabase) {
    let turn = begun_elsewhere(db, 1, 15).await;
    let silent = begun_elsewhere(db, 2, 15).await;
    db.turns().checkpoint(vec![deltas(1, 1, 2)]).await.unwrap();
    db.turns().checkpoint(vec![deltas(1, 3, 11)]).await.unwrap();

    let found = orphans(db, 16, 10).await;

    assert_eq!(found[0].generation, turn.generation);
    assert_eq!(found[0].reply, turn.reply);
    assert_eq!(found[0].text, "1 2 3 4 5 6 7 8 9 10 11 ");
    assert_eq!(found[0].last_seq, 11);
    assert_eq!(found[1].reply, silent.reply);
    assert_eq!((found[1].text.as_str(), found[1].last_seq), ("", 0));
    let one = db.turns().orphan(generation_id(1)).await.unwrap().unwrap();
    assert_eq!((one.reply, one.text, one.last_seq), (turn.reply, found[0].text.clone(), 11));
}

async fn a_lease_that_ran_out_is_told_whoever_held_it(db: &TestDatabase) {
    let turn = db.with_turn(1).await;
    let until = (turn.lease_until - at(0)).num_seconds();

    assert!(orphans(db, until, 10).await.is_empty());
    assert_eq!(ids(&orphans(db, until + 1, 10).await), [generation_id(1)]);
}

async fn nothing_is_settled_that_somebody_still_writes(db: &TestDatabase) {
    let turn = begun_elsewhere(db, 1, 15).await;
    db.turns().checkpoint(vec![deltas(1, 1, 3)]).await.unwrap();
    let settle =
        async |to, unsaved, end| db.turns().settle_turn(finished(&turn, end, unsaved), to).await;

    // Since somebody looked, 2 and 3 were stored; what was meant to be stored with the end is not.
    assert!(!settle(1, None, 2).await.unwrap());
    db.turns().checkpoint(vec![deltas(1, 4, 5)]).await.unwrap();
    assert!(!settle(3, Some(deltas(1, 6, 6)), 7).await.unwrap());
    let stored = db.turns().events_after(generation_id(1), 0).await.unwrap();
    assert!(stored.iter().map(|event| event.seq).eq(1..=5));

    assert!(settle(5, Some(deltas(1, 6, 6)), 7).await.unwrap());
    let stored = db.turns().events_after(generation_id(1), 0).await.unwrap();
    assert!(stored.iter().map(|event| event.seq).eq(1..=7));
    assert!(matches!(settle(5, None, 6).await, Err(PortError::Stale)));
}

async fn a_renewed_lease_keeps_a_reply_from_others(db: &TestDatabase) {
    begun_elsewhere(db, 1, 15).await;
    if db.db.is_single_process() {
        // Whoever began it cannot be there any more.
        assert_eq!(ids(&orphans(db, 0, 10).await), [generation_id(1)]);
        return;
    }
    assert!(orphans(db, 15, 10).await.is_empty());
    assert_eq!(ids(&orphans(db, 16, 10).await), [generation_id(1)]);

    let both = || vec![generation_id(1), generation_id(2)];
    db.turns().renew_leases(HERE, both(), at(99)).await.unwrap();
    db.turns().renew_leases(ELSEWHERE, vec![generation_id(2)], at(99)).await.unwrap();
    assert_eq!(ids(&orphans(db, 16, 10).await), [generation_id(1)]);
    db.turns().renew_leases(ELSEWHERE, both(), at(30)).await.unwrap();
    assert!(orphans(db, 16, 10).await.is_empty());
    assert_eq!(ids(&orphans(db, 31, 10).await), [generation_id(1)]);
}

async fn the_oldest_orphans_come_first(db: &TestDatabase) {
    for n in [3, 1, 2] {
        begun_elsewhere(db, n, 15).await;
    }

    assert_eq!(ids(&orphans(db, 16, 2).await), [1, 2].map(generation_id));
    assert_eq!(orphans(db, 16, 9).await.len(), 3);
}

async fn a_reply_that_is_over_is_no_orphan(db: &TestDatabase) {
    let turn = begun_elsewhere(db, 1, 15).await;
    db.turns().finish_turn(finished(&turn, 1, None)).await.unwrap();

    assert!(orphans(db, 16, 10).await.is_empty());
    assert!(db.turns().orphan(generation_id(1)).await.unwrap().is_none());
    assert!(db.turns().orphan(generation_id(2)).await.unwrap().is_none());
}
