//! The contract of `TurnRepository`: a turn begins and ends.

use std::sync::Arc;

use futures::future::join_all;
use repartee_application::{
    Order, PageRequest,
    ports::{
        Branch, ConversationRepository, EventKind, History, HistoryFrom, MessageRepository,
        NewTurn, Place, PortError, StoredGeneration, TurnBegun, TurnRepository,
    },
};
use repartee_domain::{
    ConversationId,
    conversations::{Conversation, ConversationStatus},
    messages::Message,
    replies::{Failure, GenerationState, Outcome},
};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{
        NOW, UPDATED, at, conversation, conversation_id, deltas, finished, generation_id,
        message_id, said, turn, user_id,
    },
};

on_both_databases!(
    a_turn_begins_with_everything_at_once,
    of_many_turns_begun_at_once_one_begins,
    a_second_turn_learns_which_reply_is_in_progress,
    a_turn_may_begin_once_the_one_before_is_over,
    a_closed_conversation_begins_no_turn,
    a_finished_turn_reads_back_as_it_ended,
    a_turn_finishes_once,
    a_failure_is_stored_with_its_state,
    finishing_leaves_alone_what_others_changed,
    a_stranger_finds_no_generation,
    history_is_newest_first,
    a_turn_that_has_not_seen_everything_does_not_begin,
    of_many_that_begin_after_a_reply_none_has_missed_it,
);

async fn messages(db: &TestDatabase) -> Vec<Message> {
    let page = PageRequest { limit: 100, after: None };
    let reference = conversation_id(1).into();
    let listed = db
        .messages()
        .list(user_id(1), reference, Branch::Newest, Order::Ascending, page)
        .await
        .unwrap();
    listed.unwrap().items
}

async fn a_turn_begins_with_everything_at_once(db: &TestDatabase) {
    let turn = db.with_turn(1).await;

    assert_eq!(messages(db).await, [turn.question.into_message(), turn.reply]);
    let found = db.conversations().find(user_id(1), conversation_id(1).into()).await.unwrap();
    let moved = Conversation { last_message_at: Some(at(2)), ..conversation(1, 1) };
    assert_eq!(found, Some(moved));
    let stored = StoredGeneration {
        generation: turn.generation,
        state: GenerationState::Queued,
        attempts: 0,
        last_seq: None,
        ended_at: None,
    };
    assert_eq!(db.turns().find(user_id(1), generation_id(1)).await.unwrap(), Some(stored));
}

async fn of_many_turns_begun_at_once_one_begins(db: &TestDatabase) {
    db.with_conversation(1).await;
    let turns = db.turns();

    let begun = join_all((1..=30).map(|n| turns.begin_turn(turn(n, 1)))).await;

    let begun: Vec<_> = begun.into_iter().map(Result::unwrap).collect();
    let winner = begun.iter().position(|begun| *begun == TurnBegun::Begun).unwrap();
    let id = generation_id(u32::try_from(winner).unwrap() + 1);
    let others = begun.iter().filter(|begun| **begun == TurnBegun::ReplyInProgress(id));
    assert_eq!(others.count(), 29);
    assert_eq!((db.count("messages").await, db.count("generations").await), (2, 1));
}

async fn a_second_turn_learns_which_reply_is_in_progress(db: &TestDatabase) {
    db.with_turn(1).await;
    let before = db.conversations().find(user_id(1), conversation_id(1).into()).await.unwrap();

    let begun = db.turns().begin_turn(turn(2, 1)).await.unwrap();

    assert_eq!(begun, TurnBegun::ReplyInProgress(generation_id(1)));
    assert_eq!(messages(db).await.len(), 2);
    let after = db.conversations().find(user_id(1), conversation_id(1).into()).await.unwrap();
    assert_eq!(after, before);
}

async fn a_turn_may_begin_once_the_one_before_is_over(db: &TestDatabase) {
    let first = db.with_turn(1).await;
    db.turns().finish_turn(finished(&first, 2, None)).await.unwrap();

    assert_eq!(db.turns().begin_turn(turn(2, 1)).await.unwrap(), TurnBegun::Begun);
}

async fn a_closed_conversation_begins_no_turn(db: &TestDatabase) {
    db.with_conversation(1).await;
    let mut somebody_elses = turn(1, 1);
    somebody_elses.generation.owner = user_id(2);
    let closed = TurnBegun::ConversationClosed;

    assert_eq!(db.turns().begin_turn(somebody_elses).await.unwrap(), closed);
    let archived = Conversation { status: ConversationStatus::Archived, ..conversation(1, 1) };
    db.conversations().save(archived, UPDATED).await.unwrap();
    assert_eq!(db.turns().begin_turn(turn(1, 1)).await.unwrap(), closed);
    db.conversations().delete(user_id(1), conversation_id(1), NOW).await.unwrap();
    assert_eq!(db.turns().begin_turn(turn(1, 1)).await.unwrap(), closed);
    assert_eq!(db.count("messages").await, 0);
}

async fn a_finished_turn_reads_back_as_it_ended(db: &TestDatabase) {
    let turn = db.with_turn(1).await;
    db.turns().checkpoint(vec![deltas(1, 1, 2)]).await.unwrap();
    let end = finished(&turn, 5, Some(deltas(1, 3, 4)));

    db.turns().finish_turn(end.clone()).await.unwrap();

    assert_eq!(messages(db).await[1], end.ended.reply);
    let stored = db.turns().find(user_id(1), generation_id(1)).await.unwrap().unwrap();
    assert_eq!(stored.state, GenerationState::Completed);
    assert_eq!(stored.generation.model, "fallback");
    assert_eq!((stored.attempts, stored.last_seq, stored.ended_at), (2, Some(5), Some(at(100))));
    let events = db.turns().events_after(generation_id(1), 0).await.unwrap();
    let numbers: Vec<_> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert_eq!(events[4].kind, EventKind::Done);
    assert_eq!(events[4].data, "the end");
}

async fn a_turn_finishes_once(db: &TestDatabase) {
    let turn = db.with_turn(1).await;
    let turns = db.turns();
    let first = finished(&turn, 2, None);
    let second = finished(&turn, 3, Some(deltas(1, 1, 2)));

    turns.finish_turn(first.clone()).await.unwrap();

    assert!(matches!(turns.finish_turn(second).await, Err(PortError::Stale)));
    assert_eq!(messages(db).await[1], first.ended.reply);
    let events = turns.events_after(generation_id(1), 0).await.unwrap();
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [2]);
}

async fn a_failure_is_stored_with_its_state(db: &TestDatabase) {
    let turn = db.with_turn(1).await;
    let mut end = finished(&turn, 2, None);
    end.ended.outcome = Outcome::Failed(Failure::IdleTimeout);
    let event = crate::fixtures::event(1, 2, EventKind::Failed, "{}");
    end.terminal = Arc::clone(&event);

    db.turns().finish_turn(end).await.unwrap();

    let stored = db.turns().find(user_id(1), generation_id(1)).await.unwrap().unwrap();
    assert_eq!(stored.state, GenerationState::Failed);
    assert_eq!(db.count("generations WHERE failure = 'model_idle_timeout'").await, 1);
    let events = db.turns().events_after(generation_id(1), 1).await.unwrap();
    assert_eq!(events[0].kind, EventKind::Failed);
}

async fn finishing_leaves_alone_what_others_changed(db: &TestDatabase) {
    let turn = db.with_turn(1).await;
    db.execute("UPDATE messages SET version = version + 1").await;

    db.turns().finish_turn(finished(&turn, 2, None)).await.unwrap();

    assert_eq!(messages(db).await[1].version.get(), 3);
}

async fn a_stranger_finds_no_generation(db: &TestDatabase) {
    db.with_turn(1).await;

    assert_eq!(db.turns().find(user_id(2), generation_id(1)).await.unwrap(), None);
    assert_eq!(db.turns().find(user_id(1), generation_id(2)).await.unwrap(), None);
}

async fn history_is_newest_first(db: &TestDatabase) {
    db.with_conversation(1).await;
    db.messages().store(user_id(1), said(1, 1, "Hello"), Place::LINEAR, None).await.unwrap();
    db.turns().begin_turn(turn(1, 1)).await.unwrap();
    let ids = async |owner, from, limit| {
        let turns = db.turns();
        let history = turns.history(user_id(owner), conversation_id(1), from, limit).await;
        history.unwrap().messages.into_iter().map(|message| message.id).collect::<Vec<_>>()
    };

    let (at, before) = (HistoryFrom::At(message_id(2)), HistoryFrom::Before(message_id(3)));
    assert_eq!(ids(1, HistoryFrom::End, 9).await, [3, 2, 1].map(message_id));
    assert_eq!(ids(1, at, 9).await, [2, 1].map(message_id));
    assert_eq!(ids(1, before, 9).await, [2, 1].map(message_id));
    assert_eq!(ids(1, HistoryFrom::End, 1).await, [3].map(message_id));
    assert!(ids(2, HistoryFrom::End, 9).await.is_empty());
}

async fn seen(db: &TestDatabase, conversation: ConversationId) -> History {
    db.turns().history(user_id(1), conversation, HistoryFrom::End, 9).await.unwrap()
}

async fn a_turn_that_has_not_seen_everything_does_not_begin(db: &TestDatabase) {
    db.with_conversation(1).await;
    db.conversations()
        .insert(Conversation { owner: user_id(1), ..conversation(2, 2) }, None)
        .await
        .unwrap();
    let conversation = conversation_id(1);
    let begin = async |n, seen| {
        let turn = NewTurn { seen, ..turn(n, 1) };
        db.turns().begin_turn(turn).await.unwrap()
    };
    assert_eq!(seen(db, conversation).await, History::default());
    assert_eq!(begin(1, 0).await, TurnBegun::Begun, "nothing was said");
    let while_written = seen(db, conversation).await.seen;

    db.turns().finish_turn(finished(&turn(1, 1), 2, None)).await.unwrap();

    assert_eq!(begin(2, 0).await, TurnBegun::Outdated);
    assert_eq!(begin(2, while_written).await, TurnBegun::Outdated, "the reply was empty then");
    let whole = seen(db, conversation).await.seen;
    db.messages().store(user_id(1), said(50, 1, "A note"), Place::LINEAR, None).await.unwrap();
    assert_eq!(begin(2, whole).await, TurnBegun::Outdated);
    assert_eq!(db.count("generations").await, 1, "nothing of it is stored");

    // What else happens to the user, and to the conversation, is not said in it.
    let all = seen(db, conversation).await.seen;
    db.messages().store(user_id(1), said(60, 2, "Elsewhere"), Place::LINEAR, None).await.unwrap();
    db.conversations().save(crate::fixtures::conversation(1, 1), UPDATED).await.unwrap();
    assert_eq!(begin(2, all).await, TurnBegun::Begun);
}

/// Each reads and begins while the reply before may end at any moment.
async fn of_many_that_begin_after_a_reply_none_has_missed_it(db: &TestDatabase) {
    db.with_conversation(1).await;
    for round in 0..10 {
        let first = turn(100 * round + 1, 1);
        assert_eq!(db.turns().begin_turn(first.clone()).await.unwrap(), TurnBegun::Begun);
        let end = async { db.turns().finish_turn(finished(&first, 2, None)).await.unwrap() };
        let others = join_all((2..6).map(async |n| {
            let History { messages, seen } = seen(db, conversation_id(1)).await;
            let turn = NewTurn { seen, ..turn(100 * round + n, 1) };
            let begun = db.turns().begin_turn(turn.clone()).await.unwrap();
            (begun == TurnBegun::Begun).then_some((turn, messages))
        }));

        let ((), others) = futures::join!(end, others);

        for (turn, messages) in others.into_iter().flatten() {
            assert!(messages.iter().all(|message| !message.content.is_empty()), "{messages:?}");
            db.turns().finish_turn(finished(&turn, 2, None)).await.unwrap();
        }
    }
}
