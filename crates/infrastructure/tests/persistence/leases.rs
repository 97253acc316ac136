//! The contract of `TurnRepository`: replies whose process went away.

use repartee_application::ports::{NewTurn, Orphan, TurnRepository};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{ELSEWHERE, HERE, at, deltas, finished, generation_id, turn},
};

on_both_databases!(
    an_orphan_comes_with_what_was_written,
    a_living_process_keeps_its_replies,
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

async fn a_living_process_keeps_its_replies(db: &TestDatabase) {
    db.with_turn(1).await;

    // It renews its leases; that it was late to do so is not the end of its replies.
    assert!(orphans(db, 1_000, 10).await.is_empty());
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

    db.turns().renew_leases(HERE, at(99)).await.unwrap();
    assert_eq!(ids(&orphans(db, 16, 10).await), [generation_id(1)]);
    db.turns().renew_leases(ELSEWHERE, at(30)).await.unwrap();
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
