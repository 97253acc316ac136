//! The contract of `FeedLog`, and of the repositories that tell it what they changed.

use futures::{future::join_all, join};
use repartee_application::ports::{
    Change, ChangeKind, Changes, ConversationRepository, EventKind, FeedLog, LoggedEvent,
    LoginSessionRepository, MessageRepository, Place, PortError, TurnBegun, TurnRepository,
};
use repartee_domain::conversations::{Conversation, ConversationStatus};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{
        NOW, UPDATED, at, conversation, conversation_id, entry, finished, generation_id, password,
        said, session, session_id, turn, user_id,
    },
};

on_both_databases!(
    every_change_is_told_in_its_order,
    a_change_is_told_as_what_it_points_at_is_now,
    a_reply_that_ended_comes_with_its_last_event,
    what_is_gone_is_left_out,
    what_was_not_changed_is_not_told,
    a_feed_is_read_by_pages,
    one_conversation_is_read_alone,
    nobody_is_told_what_is_somebody_elses,
    a_number_that_is_not_there_yet_is_refused,
    forgetting_moves_the_beginning,
    forgetting_goes_by_users,
    forgetting_leaves_no_hole,
    a_kind_that_is_not_known_yet_is_left_out,
    what_cannot_be_read_yet_is_left_out,
    a_page_of_long_texts_is_a_short_one,
    a_text_that_is_longer_than_a_page_is_told_alone,
    a_page_of_conversations_with_long_texts_is_a_short_one,
    forgetting_one_user_goes_by_portions,
    nothing_is_missed_while_many_write,
);

async fn after(db: &TestDatabase, after: u64, limit: u32) -> Option<Changes> {
    db.feed().changes_after(user_id(1), None, after, limit).await.unwrap()
}

fn numbers(changes: &Changes) -> Vec<u64> {
    changes.changes.iter().map(|change| change.seq).collect()
}

fn kinds(changes: &Changes) -> Vec<ChangeKind> {
    changes.changes.iter().map(|change| change.change.kind()).collect()
}

async fn every_change_is_told_in_its_order(db: &TestDatabase) {
    db.with_user(1).await;
    assert_eq!(db.feed().newest(user_id(1)).await.unwrap(), 0);
    for n in [1, 2] {
        db.conversations().insert(conversation(n, 1), None).await.unwrap();
    }
    let turn = turn(1, 1);
    assert_eq!(db.turns().begin_turn(turn.clone()).await.unwrap(), TurnBegun::Begun);
    db.messages().store(user_id(1), said(9, 2, "Hello"), Place::LINEAR, None).await.unwrap();
    db.turns().finish_turn(finished(&turn, 2, None)).await.unwrap();
    let archived = Conversation { status: ConversationStatus::Archived, ..conversation(2, 1) };
    db.conversations().save(archived, ChangeKind::ConversationArchived).await.unwrap();
    db.sessions().open(session(1, 1), password("hash"), entry()).await.unwrap();
    db.sessions().end(session_id(1), NOW, entry()).await.unwrap();
    db.conversations().insert(conversation(3, 1), None).await.unwrap();
    db.conversations().delete(user_id(1), conversation_id(3), NOW).await.unwrap();

    let changes = after(db, 0, 100).await.unwrap();

    let expected = [
        (1, Some(1), ChangeKind::ConversationCreated),
        (2, Some(2), ChangeKind::ConversationCreated),
        (3, Some(1), ChangeKind::MessageCreated),
        (4, Some(1), ChangeKind::GenerationStarted),
        (5, Some(2), ChangeKind::MessageCreated),
        (6, Some(1), ChangeKind::GenerationEnded),
        (7, Some(2), ChangeKind::ConversationArchived),
        (8, None, ChangeKind::SessionEnded),
        // 9 is the beginning of what was deleted with 10.
        (10, Some(3), ChangeKind::ConversationDeleted),
    ];
    let told: Vec<_> = changes
        .changes
        .iter()
        .map(|told| (told.seq, told.conversation, told.change.kind()))
        .collect();
    assert_eq!(told, expected.map(|(seq, id, kind)| (seq, id.map(conversation_id), kind)));
    assert_eq!((changes.read_to, changes.has_more), (10, false));
    assert_eq!(db.feed().newest(user_id(1)).await.unwrap(), 10);
}

async fn a_change_is_told_as_what_it_points_at_is_now(db: &TestDatabase) {
    db.with_conversation(1).await;
    let mut latest = conversation(1, 1);
    for title in ["one", "two"] {
        latest.subject.title = Some(title.into());
        latest = db.conversations().save(latest, UPDATED).await.unwrap();
    }
    db.messages().store(user_id(1), said(1, 1, "Hello"), Place::LINEAR, None).await.unwrap();
    latest.last_message_at = Some(at(1));

    let changes = after(db, 0, 100).await.unwrap().changes;

    for change in &changes[..3] {
        let (Change::ConversationCreated(told) | Change::ConversationUpdated(told)) =
            &change.change
        else {
            panic!("{change:?}")
        };
        assert_eq!(**told, latest);
    }
    let Change::MessageCreated(message) = &changes[3].change else { panic!("{changes:?}") };
    assert_eq!(**message, said(1, 1, "Hello"));
}

async fn a_reply_that_ended_comes_with_its_last_event(db: &TestDatabase) {
    let turn = db.with_turn(1).await;
    let changes = after(db, 2, 100).await.unwrap().changes;
    let Change::GenerationStarted(started) = &changes[0].change else { panic!("{changes:?}") };
    assert_eq!(**started, turn.generation);

    db.turns().finish_turn(finished(&turn, 7, None)).await.unwrap();

    let changes = after(db, 3, 100).await.unwrap().changes;
    let Change::GenerationEnded(ended, event) = &changes[0].change else { panic!("{changes:?}") };
    assert_eq!((ended.id, ended.model.as_str()), (generation_id(1), "fallback"));
    assert_eq!((event.generation, event.seq, event.kind), (generation_id(1), 7, EventKind::Done));
    assert_eq!(event.data, "the end");
}

async fn what_is_gone_is_left_out(db: &TestDatabase) {
    let turn = db.with_turn(1).await;
    db.turns().finish_turn(finished(&turn, 2, None)).await.unwrap();
    db.messages().store(user_id(1), said(9, 1, "Hello"), Place::LINEAR, None).await.unwrap();
    db.conversations()
        .save(Conversation { last_message_at: None, ..conversation(1, 1) }, UPDATED)
        .await
        .unwrap();
    db.conversations().delete(user_id(1), conversation_id(1), NOW).await.unwrap();

    let changes = after(db, 0, 100).await.unwrap();

    assert_eq!(kinds(&changes), [ChangeKind::ConversationDeleted]);
    assert_eq!((numbers(&changes), changes.read_to), (vec![7], 7));
    // A page of nothing but gaps goes on all the same.
    let page = after(db, 0, 3).await.unwrap();
    assert_eq!((numbers(&page), page.read_to, page.has_more), (vec![], 3, true));
}

async fn what_was_not_changed_is_not_told(db: &TestDatabase) {
    let turn = db.with_turn(1).await;
    db.turns().finish_turn(finished(&turn, 2, None)).await.unwrap();
    db.sessions().open(session(1, 1), password("hash"), entry()).await.unwrap();
    db.sessions().end_all(user_id(1), NOW, entry()).await.unwrap();
    let newest = db.feed().newest(user_id(1)).await.unwrap();
    let stale = Conversation { version: repartee_domain::Version::new(9), ..conversation(1, 1) };

    assert!(matches!(db.conversations().save(stale, UPDATED).await, Err(PortError::Stale)));
    assert!(!db.conversations().delete(user_id(1), conversation_id(9), NOW).await.unwrap());
    assert!(db.turns().finish_turn(finished(&turn, 2, None)).await.is_err());
    assert!(
        db.messages().store(user_id(1), said(8, 9, "Hello"), Place::LINEAR, None).await.is_err()
    );
    let nowhere = db.turns().begin_turn(crate::fixtures::turn(2, 9)).await.unwrap();
    assert_eq!(nowhere, TurnBegun::ConversationClosed);
    db.sessions().end(session_id(1), NOW, entry()).await.unwrap();
    db.sessions().end(session_id(9), NOW, entry()).await.unwrap();
    db.sessions().end_all(user_id(1), NOW, entry()).await.unwrap();

    assert_eq!(db.feed().newest(user_id(1)).await.unwrap(), newest);
    assert_eq!(db.count("feed_events").await, i64::try_from(newest).unwrap());
}

async fn a_feed_is_read_by_pages(db: &TestDatabase) {
    db.with_user(1).await;
    for n in 1..=5 {
        db.conversations().insert(conversation(n, 1), None).await.unwrap();
    }

    for (from, limit, expected, has_more) in [
        (0, 2, vec![1, 2], true),
        (2, 2, vec![3, 4], true),
        (4, 2, vec![5], false),
        (3, 2, vec![4, 5], false),
        (5, 2, vec![], false),
    ] {
        let page = after(db, from, limit).await.unwrap();
        assert_eq!((numbers(&page), page.has_more), (expected.clone(), has_more), "{from}");
        assert_eq!(page.read_to, expected.last().copied().unwrap_or(from));
    }
}

async fn one_conversation_is_read_alone(db: &TestDatabase) {
    db.with_user(1).await;
    for n in 1..=2 {
        db.conversations().insert(conversation(n, 1), None).await.unwrap();
    }
    for n in 1..=6 {
        let message = said(n, 1 + n % 2, "Hello");
        db.messages().store(user_id(1), message, Place::LINEAR, None).await.unwrap();
    }
    let of = async |conversation, after, limit| {
        let conversation = Some(conversation_id(conversation));
        db.feed().changes_after(user_id(1), conversation, after, limit).await.unwrap().unwrap()
    };

    let all = of(2, 0, 100).await;
    assert_eq!((numbers(&all), all.read_to, all.has_more), (vec![2, 3, 5, 7], 8, false));
    let first = of(2, 2, 2).await;
    assert_eq!((numbers(&first), first.read_to, first.has_more), (vec![3, 5], 5, true));
    assert_eq!(numbers(&of(9, 0, 100).await), [0; 0]);
}

async fn nobody_is_told_what_is_somebody_elses(db: &TestDatabase) {
    db.with_turn(1).await;
    db.with_conversation(2).await;
    let of_user = async |owner, conversation| {
        let conversation = Some(conversation_id(conversation));
        db.feed().changes_after(user_id(owner), conversation, 0, 9).await.unwrap().unwrap()
    };

    assert_eq!(numbers(&of_user(2, 2).await), [1]);
    assert_eq!(numbers(&of_user(2, 1).await), [0; 0]);
    assert_eq!(numbers(&of_user(1, 1).await), [1, 2, 3]);
    assert_eq!(db.feed().newest(user_id(2)).await.unwrap(), 1);
}

async fn a_number_that_is_not_there_yet_is_refused(db: &TestDatabase) {
    db.with_user(1).await;
    let nothing = after(db, 0, 9).await.unwrap();
    assert_eq!((numbers(&nothing), nothing.read_to, nothing.has_more), (vec![], 0, false));
    assert!(after(db, 1, 9).await.is_none());

    db.conversations().insert(conversation(1, 1), None).await.unwrap();

    assert!(after(db, 1, 9).await.is_some());
    assert!(after(db, 2, 9).await.is_none());
    assert!(after(db, u64::MAX, 9).await.is_none());
}

/// A conversation for each second, begun then.
async fn begun_at(db: &TestDatabase, owner: u32, seconds: impl IntoIterator<Item = u32>) {
    for second in seconds {
        let mut conversation = conversation(100 * owner + second, owner);
        conversation.created_at = at(second.into());
        db.conversations().insert(conversation, None).await.unwrap();
    }
}

async fn forgetting_moves_the_beginning(db: &TestDatabase) {
    db.with_user(1).await;
    begun_at(db, 1, [1, 2, 3, 4]).await;

    assert_eq!(db.feed().forget(at(3), 10).await.unwrap(), 2);

    for forgotten in 0..2 {
        assert!(after(db, forgotten, 9).await.is_none());
    }
    assert_eq!(numbers(&after(db, 2, 9).await.unwrap()), [3, 4]);
    assert_eq!(db.feed().forget(at(3), 10).await.unwrap(), 0);
    assert_eq!(db.feed().forget(at(99), 10).await.unwrap(), 2);
    assert!(after(db, 3, 9).await.is_none());
    assert_eq!(after(db, 4, 9).await.unwrap().read_to, 4);
    begun_at(db, 1, [5]).await;
    assert_eq!(numbers(&after(db, 4, 9).await.unwrap()), [5]);
}

async fn forgetting_goes_by_users(db: &TestDatabase) {
    for owner in 1..=3 {
        db.with_user(owner).await;
        begun_at(db, owner, [owner, 3 + owner]).await;
    }
    db.with_user(4).await;
    begun_at(db, 4, [9]).await;

    assert_eq!(db.feed().forget(at(8), 4).await.unwrap(), 4);
    assert_eq!(db.count("feed_events").await, 3);
    assert_eq!(db.count("feeds WHERE forgotten_to = 2").await, 1);
    assert_eq!(db.count("feeds WHERE forgotten_to = 1").await, 2);
    assert_eq!(db.feed().forget(at(8), 4).await.unwrap(), 2);
    assert_eq!(db.feed().forget(at(8), 4).await.unwrap(), 0);
    assert_eq!(db.count("feed_events").await, 1);
    assert_eq!(db.count("feeds WHERE forgotten_to = 2").await, 3);
}

async fn forgetting_one_user_goes_by_portions(db: &TestDatabase) {
    db.with_user(1).await;
    begun_at(db, 1, 1..=5).await;

    assert_eq!(db.feed().forget(at(99), 2).await.unwrap(), 2);

    assert_eq!(numbers(&after(db, 2, 9).await.unwrap()), [3, 4, 5]);
    assert_eq!(db.count("feed_events").await, 3);
}

async fn forgetting_leaves_no_hole(db: &TestDatabase) {
    db.with_user(1).await;
    // Clocks of two processes that are apart.
    begun_at(db, 1, [1, 7, 2, 8]).await;

    db.feed().forget(at(5), 10).await.unwrap();

    assert!(after(db, 2, 9).await.is_none());
    assert_eq!(numbers(&after(db, 3, 9).await.unwrap()), [4]);
    assert_eq!(db.count("feed_events").await, 1);
}

async fn a_kind_that_is_not_known_yet_is_left_out(db: &TestDatabase) {
    db.with_conversation(1).await;
    db.execute("UPDATE feed_events SET kind = 'conversation.shared'").await;

    let changes = after(db, 0, 9).await.unwrap();

    assert_eq!((numbers(&changes), changes.read_to), (vec![], 1));
}

async fn what_cannot_be_read_yet_is_left_out(db: &TestDatabase) {
    let turn = db.with_turn(1).await;
    db.turns().finish_turn(finished(&turn, 2, None)).await.unwrap();
    for n in 2..=3 {
        db.conversations().insert(conversation(n, 1), None).await.unwrap();
        db.messages()
            .store(user_id(1), said(100 + n, n, "Hello"), Place::LINEAR, None)
            .await
            .unwrap();
    }
    db.execute("UPDATE conversations SET status = 'shared' WHERE title = 'Conversation 2'").await;
    db.execute("UPDATE messages SET role = 'editor' WHERE content = 'Why?'").await;
    db.execute("UPDATE generations SET terminal_kind = 'paused'").await;

    let changes = after(db, 0, 100).await.unwrap();

    // Left out are the question (2), the end of the reply (4) and the conversation (5).
    assert_eq!((numbers(&changes), changes.read_to), (vec![1, 3, 6, 7, 8], 8));
}

/// What each page has, read to the end.
async fn pages(db: &TestDatabase) -> Vec<Vec<u64>> {
    let (mut pages, mut cursor) = (Vec::new(), 0);
    loop {
        let page = after(db, cursor, 100).await.unwrap();
        cursor = page.read_to;
        pages.push(numbers(&page));
        if !page.has_more {
            return pages;
        }
    }
}

async fn a_page_of_long_texts_is_a_short_one(db: &TestDatabase) {
    db.with_conversation(1).await;
    let turn = turn(1, 1);
    db.turns().begin_turn(turn.clone()).await.unwrap();
    let mut end = finished(&turn, 2, None);
    let data = "x".repeat(300_000).into();
    end.terminal =
        std::sync::Arc::new(LoggedEvent::new(turn.generation.id, 2, EventKind::Done, data));
    db.turns().finish_turn(end).await.unwrap();
    for n in 11..=14 {
        let mut message = said(n, 1, "Hello");
        message.content = "é".repeat(100_000);
        db.messages().store(user_id(1), message, Place::LINEAR, None).await.unwrap();
    }

    // Half a MiB at most: what was begun counts for nothing, what ended with all that it says.
    assert_eq!(pages(db).await, [vec![1, 2, 3, 4, 5], vec![6, 7], vec![8]]);
}

async fn a_text_that_is_longer_than_a_page_is_told_alone(db: &TestDatabase) {
    db.with_conversation(1).await;
    for n in 1..=2 {
        let mut message = said(n, 1, "Hello");
        message.content = "x".repeat(1_000_000);
        db.messages().store(user_id(1), message, Place::LINEAR, None).await.unwrap();
    }

    assert_eq!(pages(db).await, [vec![1], vec![2], vec![3]]);
}

async fn a_page_of_conversations_with_long_texts_is_a_short_one(db: &TestDatabase) {
    db.with_user(1).await;
    let mut long = conversation(1, 1);
    long.subject.system_message = Some("x".repeat(100_000));
    long.subject.metadata = Some(format!("\"{}\"", "x".repeat(100_000)));
    db.conversations().insert(long.clone(), None).await.unwrap();
    for _ in 2..=5 {
        long = db.conversations().save(long, UPDATED).await.unwrap();
    }

    assert_eq!(pages(db).await, [vec![1, 2], vec![3, 4], vec![5]]);
}

async fn nothing_is_missed_while_many_write(db: &TestDatabase) {
    db.with_user(1).await;
    for n in 1..=25 {
        db.conversations().insert(conversation(n, 1), None).await.unwrap();
    }
    let (conversations, turns, feed) = (db.conversations(), db.turns(), db.feed());
    let write = async |n: u32| {
        if n > 25 {
            conversations.insert(conversation(n, 1), None).await.unwrap();
            return;
        }
        let mut turn = turn(n, n);
        turn.generation.owner = user_id(1);
        assert_eq!(turns.begin_turn(turn.clone()).await.unwrap(), TurnBegun::Begun);
        turns.finish_turn(finished(&turn, 2, None)).await.unwrap();
    };
    // 25 beginnings, and then 25 turns of three changes and 25 of one.
    let last = 25 + 25 * 3 + 25;
    let read = async {
        let (mut seen, mut cursor) = (Vec::new(), 0);
        while cursor < last {
            let page = feed.changes_after(user_id(1), None, cursor, 7).await.unwrap().unwrap();
            seen.extend(numbers(&page));
            cursor = page.read_to;
            tokio::task::yield_now().await;
        }
        seen
    };

    let (seen, _) = join!(read, join_all((1..=50).map(write)));

    assert_eq!(seen, (1..=last).collect::<Vec<_>>());
}
