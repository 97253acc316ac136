//! Everything that changes some users' things, at once: nobody waits for ever, and nothing is lost.

use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::join_all;
use repartee_application::ports::{
    self, ConversationRepository, FeedLog, IdempotencyKeys, LoginSessionRepository,
    MessageRepository, PortError, TurnBegun, TurnRepository,
};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{
        HERE, NOW, UPDATED, at, conversation, conversation_id, deltas, entry, finished,
        generation_id, key, password, said, session, session_id, turn, user_id,
    },
};

on_both_databases!(all_at_once_is_as_good_as_one_after_the_other);

const USERS: u32 = 3;
const TASKS: u32 = 12;
const ROUNDS: u32 = 8;

/// Anything but a database that is out of order: whoever is late learns that it was.
fn settled<T>(result: Result<T, PortError>) {
    match result {
        Ok(_) | Err(PortError::Stale) => {}
        Err(error) => panic!("{error}: {error:?}"),
    }
}

/// What each of the users has at the moment.
#[derive(Default)]
struct Place {
    /// Who deletes the conversation begins another one in its place.
    conversation: AtomicU32,
    /// The turn that began last.
    turn: AtomicU32,
}

type Places = [Place; USERS as usize];

/// Checkpoints of a reply of each user, in any order.
async fn checkpoint(db: &TestDatabase, places: &Places, turn: u32) {
    let mut turns: Vec<_> = places.iter().map(|place| place.turn.load(Ordering::Relaxed)).collect();
    turns.rotate_left((turn % USERS) as usize);
    if turn.is_multiple_of(2) {
        turns.reverse();
    }
    settled(db.turns().checkpoint(turns.into_iter().map(|n| deltas(n, 1, 3)).collect()).await);
}

async fn act(db: &TestDatabase, places: &Places, task: u32) {
    for round in 0..ROUNDS {
        let n = 1_000 + task * ROUNDS + round;
        let whose = (task + round) % USERS;
        let (owner, place) = (whose + 1, &places[whose as usize]);
        let current = place.conversation.load(Ordering::Relaxed);
        let mut turn = turn(n, current);
        turn.generation.owner = user_id(owner);
        // It has expired when the next turn begins.
        turn.key = Some(key(&(round % 3).to_string(), at(1)));
        match task % 4 {
            0 | 1 => {
                let begun = db.turns().begin_turn(turn.clone()).await.unwrap();
                if begun != TurnBegun::Begun {
                    continue;
                }
                place.turn.store(n, Ordering::Relaxed);
                checkpoint(db, places, n).await;
                let all = places.iter().map(|place| place.turn.load(Ordering::Relaxed));
                let all = all.map(generation_id).collect();
                settled(db.turns().renew_leases(HERE, all, at(99)).await);
                settled(db.turns().request_cancel(turn.generation.id, NOW).await);
                settled(db.turns().finish_turn(finished(&turn, 6, Some(deltas(n, 4, 5)))).await);
            }
            2 => {
                let (user, current) = (user_id(owner), conversation_id(current));
                settled(db.conversations().delete(user, current, NOW).await);
                db.conversations().insert(conversation(n, owner), None).await.unwrap();
                place.conversation.store(n, Ordering::Relaxed);
                settled(db.keys().forget(at(2), 10).await);
                settled(db.turns().forget_events(at(200), 10).await);
                settled(db.feed().forget(at(50), 5).await);
            }
            _ => {
                let user = user_id(owner);
                settled(db.conversations().save(conversation(current, owner), UPDATED).await);
                settled(
                    db.messages()
                        .store(user, said(n, current, "Hello"), ports::Place::LINEAR, None)
                        .await,
                );
                db.sessions().open(session(n, owner), password("hash"), entry()).await.unwrap();
                settled(db.sessions().end(session_id(n), NOW, entry()).await);
                settled(db.sessions().end_all(user, NOW, entry()).await);
            }
        }
    }
}

async fn all_at_once_is_as_good_as_one_after_the_other(db: &TestDatabase) {
    let places = Places::default();
    for (owner, place) in (1..).zip(&places) {
        db.with_conversation(owner).await;
        place.conversation.store(owner, Ordering::Relaxed);
    }

    join_all((0..TASKS).map(|task| act(db, &places, task))).await;

    assert_eq!(db.count("generations WHERE ended_at IS NULL").await, 0);
    // Nothing is missing but what was forgotten.
    let told = "(SELECT COUNT(*) FROM feed_events WHERE feed_events.owner_id = feeds.owner_id)";
    assert_eq!(db.count(&format!("feeds WHERE last_seq = forgotten_to + {told}")).await, 3);
    assert_eq!(db.count("feeds WHERE forgotten_to > 0").await, 3);
    for owner in 1..=USERS {
        let newest = db.feed().newest(user_id(owner)).await.unwrap();
        let mut after = 0;
        let read = loop {
            let feed = db.feed();
            let read = feed.changes_after(user_id(owner), None, after, 100_000).await.unwrap();
            match read {
                Some(read) => break read,
                None => after += 1,
            }
        };
        assert_eq!((read.read_to, read.has_more), (newest, false));
    }
}
