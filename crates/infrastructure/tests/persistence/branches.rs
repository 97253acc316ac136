//! The contracts of `TurnRepository` and `MessageRepository`, as far as they are about branches.

use futures::future::join_all;
use repartee_application::{
    Order, PageRequest,
    ports::{
        Branch, ConversationRepository, HistoryFrom, MessageRepository, NewTurn, Place, PortError,
        Question, TurnBegun, TurnRepository,
    },
};
use repartee_domain::{
    MessageId, Reference, conversations::Branching, messages::Message, replies::Generation,
};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{at, conversation, conversation_id, finished, message_id, said, turn, user_id},
};

on_both_databases!(
    the_first_branch_makes_a_tree_of_what_was_said,
    a_branch_is_listed_through_any_of_its_messages,
    pages_of_a_branch_follow_one_another,
    pages_stay_in_their_branch_whatever_is_begun_meanwhile,
    a_reply_that_began_unseen_keeps_a_message_from_its_place,
    history_follows_the_branch,
    what_follows_is_listed_though_it_is_older,
    a_stored_question_is_not_stored_again,
    whoever_does_not_know_of_branches_is_too_late,
    whoever_thinks_of_branches_that_are_not_there_is_wrong,
    a_message_whose_place_was_taken_is_not_stored,
    of_messages_stored_while_somebody_branches_each_has_a_parent,
    a_long_conversation_becomes_a_tree,
    the_branches_of_others_are_nobodys,
);

const FIRST: Place = Place { branching: Branching::First, seen: None };
const BRANCHED: Place = Place { branching: Branching::Branched, seen: None };

fn after(n: u32, parent: impl Into<Option<u32>>) -> Message {
    Message { parent: parent.into().map(message_id), ..said(n, 1, "Hello") }
}

/// Messages 1 to 4, then 5 as a branch after 2, which 6 follows.
async fn two_branches(db: &TestDatabase) {
    db.with_conversation(1).await;
    let store = async |message, place| {
        assert_eq!(db.messages().store(user_id(1), message, place, None).await.unwrap(), None);
    };
    for n in 1..=4 {
        store(after(n, None), Place::LINEAR).await;
    }
    store(after(5, 2), FIRST).await;
    store(after(6, 5), BRANCHED).await;
}

async fn page(
    db: &TestDatabase,
    branch: Branch,
    order: Order,
    after: Option<MessageId>,
    limit: u32,
) -> Vec<Message> {
    let page = PageRequest { limit, after };
    let reference = Reference::Code(conversation(1, 1).code);
    let listed = db.messages().list(user_id(1), reference, branch, order, page).await;
    listed.unwrap().unwrap().items
}

async fn ids(db: &TestDatabase, branch: Branch) -> Vec<MessageId> {
    let listed = page(db, branch, Order::Ascending, None, 100).await;
    listed.into_iter().map(|message| message.id).collect()
}

/// The parents of all messages, in their order; 0 for none.
async fn parents(db: &TestDatabase) -> Vec<u128> {
    let listed = page(db, Branch::All, Order::Ascending, None, 100).await;
    let parent = |message: Message| message.parent.map_or(0, |id| id.as_uuid().as_u128());
    let kind = message_id(0).as_uuid().as_u128();
    listed.into_iter().map(|message| parent(message).saturating_sub(kind)).collect()
}

async fn history(db: &TestDatabase, from: HistoryFrom, limit: u32) -> Vec<MessageId> {
    let history = db.turns().history(user_id(1), conversation_id(1), from, limit).await.unwrap();
    history.messages.into_iter().map(|message| message.id).collect()
}

async fn the_first_branch_makes_a_tree_of_what_was_said(db: &TestDatabase) {
    db.with_conversation(1).await;
    for n in 1..=3 {
        let turn = turn(n, 1);
        db.turns().begin_turn(turn.clone()).await.unwrap();
        db.turns().finish_turn(finished(&turn, 2, None)).await.unwrap();
    }
    assert_eq!(parents(db).await, [0, 2, 0, 4, 0, 6]);
    // Of the second question, in place of what follows it.
    let edited = turn(5, 1);
    let question = Message { parent: Some(message_id(3)), ..edited.question.into_message() };
    let edited = NewTurn {
        question: Question::New(question.clone()),
        branching: Branching::First,
        ..turn(5, 1)
    };

    assert_eq!(db.turns().begin_turn(edited).await.unwrap(), TurnBegun::Begun);

    assert_eq!(parents(db).await, [0, 2, 3, 4, 5, 6, 3, 10]);
    let found = db.conversations().find(user_id(1), conversation_id(1).into()).await.unwrap();
    let found = found.unwrap();
    assert!(found.is_branched);
    assert_eq!(found.last_message_at, Some(at(10)));
    assert_eq!(ids(db, Branch::Newest).await, [2, 3, 10, 11].map(message_id));
}

async fn a_branch_is_listed_through_any_of_its_messages(db: &TestDatabase) {
    two_branches(db).await;
    let (older, newer) = ([1, 2, 3, 4].map(message_id), [1, 2, 5, 6].map(message_id));

    assert_eq!(ids(db, Branch::Newest).await, newer);
    for n in [3, 4] {
        assert_eq!(ids(db, Branch::Through(message_id(n))).await, older);
    }
    // From where they part, on to the newest.
    for n in [1, 2, 5, 6] {
        assert_eq!(ids(db, Branch::Through(message_id(n))).await, newer);
    }
    assert_eq!(ids(db, Branch::All).await, [1, 2, 3, 4, 5, 6].map(message_id));

    db.messages().store(user_id(1), after(7, 4), BRANCHED, None).await.unwrap();
    assert_eq!(ids(db, Branch::Newest).await, [1, 2, 3, 4, 7].map(message_id));
    // A second beginning.
    db.messages().store(user_id(1), after(8, None), BRANCHED, None).await.unwrap();
    assert_eq!(ids(db, Branch::Newest).await, [8].map(message_id));
    assert_eq!(ids(db, Branch::Through(message_id(1))).await, [1, 2, 5, 6].map(message_id));
}

async fn pages_stay_in_their_branch_whatever_is_begun_meanwhile(db: &TestDatabase) {
    two_branches(db).await;
    let first = page(db, Branch::Newest, Order::Ascending, None, 3).await;
    assert_eq!(first[2].id, message_id(5));

    db.messages().store(user_id(1), after(7, 4), BRANCHED, None).await.unwrap();

    let rest = page(db, Branch::Newest, Order::Ascending, Some(first[2].id), 3).await;
    assert_eq!(rest.iter().map(|message| message.id).collect::<Vec<_>>(), [message_id(6)]);
}

async fn a_reply_that_began_unseen_keeps_a_message_from_its_place(db: &TestDatabase) {
    two_branches(db).await;
    let seen = db.turns().history(user_id(1), conversation_id(1), HistoryFrom::End, 1).await;
    let place = Place { seen: Some(seen.unwrap().seen), ..BRANCHED };
    // An answer anew to what is stored already.
    let anew = turn(5, 1);
    let question = db.messages().find(user_id(1), message_id(3)).await.unwrap().unwrap();
    let anew = NewTurn {
        reply: Message { parent: Some(question.id), ..anew.reply },
        generation: Generation { user_message: question.id, ..anew.generation },
        question: Question::Stored(question),
        branching: Branching::Branched,
        ..turn(5, 1)
    };
    assert_eq!(db.turns().begin_turn(anew).await.unwrap(), TurnBegun::Begun);

    let stored = db.messages().store(user_id(1), after(20, 6), place, None).await;

    assert!(matches!(stored, Err(PortError::Stale)), "{stored:?}");
}

async fn pages_of_a_branch_follow_one_another(db: &TestDatabase) {
    two_branches(db).await;
    for branch in [Branch::Newest, Branch::Through(message_id(5)), Branch::All] {
        for order in [Order::Ascending, Order::Descending] {
            let whole = page(db, branch, order, None, 100).await;
            let mut read = Vec::new();
            while read.len() < whole.len() {
                let next = page(db, branch, order, read.last().map(|m: &Message| m.id), 3).await;
                assert_eq!(next.len(), 3.min(whole.len() - read.len()));
                read.extend(next);
            }
            assert_eq!(read, whole);
        }
    }
}

async fn history_follows_the_branch(db: &TestDatabase) {
    two_branches(db).await;
    let newest = [6, 5, 2, 1].map(message_id);

    assert_eq!(history(db, HistoryFrom::End, 9).await, newest);
    assert_eq!(history(db, HistoryFrom::End, 3).await, newest[..3]);
    let at = |n| HistoryFrom::At(message_id(n));
    let before = |n| HistoryFrom::Before(message_id(n));
    assert_eq!(history(db, at(4), 9).await, [4, 3, 2, 1].map(message_id));
    assert_eq!(history(db, before(5), 9).await, [2, 1].map(message_id));
    assert_eq!(history(db, before(5), 1).await, [2].map(message_id));
    assert_eq!(history(db, at(1), 9).await, [1].map(message_id));
    assert!(history(db, before(1), 9).await.is_empty());
    let seen = db.turns().history(user_id(1), conversation_id(1), at(1), 9).await.unwrap().seen;
    assert_eq!(seen, 7, "a conversation and six messages");
}

/// The clock of the process that stored it was behind.
async fn what_follows_is_listed_though_it_is_older(db: &TestDatabase) {
    two_branches(db).await;
    db.messages().store(user_id(1), after(20, 6), BRANCHED, None).await.unwrap();
    db.messages().store(user_id(1), after(10, 20), BRANCHED, None).await.unwrap();

    assert_eq!(ids(db, Branch::Newest).await, [1, 2, 5, 6, 10, 20].map(message_id));
    let newest = [20, 10, 6, 5, 2, 1].map(message_id);
    assert_eq!(history(db, HistoryFrom::End, 9).await, newest);
}

async fn a_stored_question_is_not_stored_again(db: &TestDatabase) {
    db.with_conversation(1).await;
    db.messages().store(user_id(1), after(2, None), Place::LINEAR, None).await.unwrap();
    let unanswered = turn(1, 1);
    let question = unanswered.question.clone().into_message();
    let answered = NewTurn { question: Question::Stored(question), ..unanswered };
    let told = db.count("feed_events WHERE kind = 'message.created'").await;

    assert_eq!(db.turns().begin_turn(answered.clone()).await.unwrap(), TurnBegun::Begun);

    assert_eq!(parents(db).await, [0, 2]);
    assert_eq!(db.count("feed_events WHERE kind = 'message.created'").await, told);
    assert_eq!(db.count("feed_events WHERE kind = 'generation.started'").await, 1);
    db.turns().finish_turn(finished(&answered, 2, None)).await.unwrap();

    // Once more, beside that.
    let again = turn(2, 1);
    let again = NewTurn {
        question: answered.question,
        reply: Message { parent: Some(message_id(2)), ..again.reply },
        generation: Generation { user_message: message_id(2), ..again.generation },
        branching: Branching::First,
        ..turn(2, 1)
    };
    assert_eq!(db.turns().begin_turn(again).await.unwrap(), TurnBegun::Begun);
    assert_eq!(parents(db).await, [0, 2, 2]);
    assert_eq!(ids(db, Branch::Newest).await, [2, 5].map(message_id));
}

async fn whoever_does_not_know_of_branches_is_too_late(db: &TestDatabase) {
    two_branches(db).await;

    for branching in [Branching::Linear, Branching::First] {
        let late = NewTurn { branching, ..turn(10, 1) };
        assert_eq!(db.turns().begin_turn(late).await.unwrap(), TurnBegun::Outdated);
        let place = Place { branching, seen: None };
        let stored = db.messages().store(user_id(1), after(9, None), place, None).await;
        assert!(matches!(stored, Err(PortError::Stale)));
    }

    assert_eq!(ids(db, Branch::All).await.len(), 6, "nothing of it is stored");
}

async fn whoever_thinks_of_branches_that_are_not_there_is_wrong(db: &TestDatabase) {
    db.with_conversation(1).await;
    db.messages().store(user_id(1), after(1, None), Place::LINEAR, None).await.unwrap();

    let wrong = NewTurn { branching: Branching::Branched, ..turn(1, 1) };
    assert_eq!(db.turns().begin_turn(wrong).await.unwrap(), TurnBegun::Outdated);
    let stored = db.messages().store(user_id(1), after(2, 1), BRANCHED, None).await;
    assert!(matches!(stored, Err(PortError::Stale)));
}

async fn a_message_whose_place_was_taken_is_not_stored(db: &TestDatabase) {
    two_branches(db).await;
    let turns = db.turns();
    let end = turns.history(user_id(1), conversation_id(1), HistoryFrom::End, 1).await.unwrap();
    let place = Place { seen: Some(end.seen), ..BRANCHED };
    let store = async |n| db.messages().store(user_id(1), after(n, 6), place, None).await;

    assert_eq!(store(7).await.unwrap(), None);
    assert!(matches!(store(8).await, Err(PortError::Stale)));

    assert_eq!(ids(db, Branch::All).await.len(), 7);
}

async fn of_messages_stored_while_somebody_branches_each_has_a_parent(db: &TestDatabase) {
    db.with_conversation(1).await;
    for n in 1..=4 {
        db.messages().store(user_id(1), after(n, None), Place::LINEAR, None).await.unwrap();
    }
    let messages = db.messages();
    let place = |n| if n % 4 == 0 { FIRST } else { Place::LINEAR };
    let parent = |n| (n % 4 == 0).then_some(2);

    let stores = (10..40).map(|n| messages.store(user_id(1), after(n, parent(n)), place(n), None));
    let stored = join_all(stores).await;

    let stored = stored.iter().filter(|stored| stored.is_ok()).count();
    let all = page(db, Branch::All, Order::Ascending, None, 100).await;
    assert_eq!(all.len(), 4 + stored);
    let roots = all.iter().filter(|message| message.parent.is_none());
    assert_eq!(roots.count(), 1, "{all:?}");
    let branches = all.iter().filter(|message| message.parent == Some(message_id(2)));
    assert_eq!(branches.count(), 2, "one branched, and nobody else");
}

async fn a_long_conversation_becomes_a_tree(db: &TestDatabase) {
    db.with_conversation(1).await;
    for n in 1..=300 {
        db.messages().store(user_id(1), after(n, None), Place::LINEAR, None).await.unwrap();
    }
    db.messages().store(user_id(1), after(1_000, 299), FIRST, None).await.unwrap();

    let newest = history(db, HistoryFrom::End, 64).await;
    assert_eq!((newest.len(), newest[0], newest[1]), (64, message_id(1_000), message_id(299)));
    let mut read = newest;
    while let Some(last) = read.last().copied() {
        let next = history(db, HistoryFrom::Before(last), 64).await;
        if next.is_empty() {
            break;
        }
        read.extend(next);
    }
    assert_eq!(read.len(), 300);
    assert_eq!(read.last(), Some(&message_id(1)));
}

async fn the_branches_of_others_are_nobodys(db: &TestDatabase) {
    two_branches(db).await;
    db.with_user(2).await;
    let page = PageRequest { limit: 9, after: None };
    let id = conversation_id(1);

    for branch in [Branch::Newest, Branch::Through(message_id(5)), Branch::All] {
        let order = Order::Ascending;
        let listed = db.messages().list(user_id(2), id.into(), branch, order, page).await;
        assert_eq!(listed.unwrap(), None);
    }
    for from in [HistoryFrom::End, HistoryFrom::At(message_id(5))] {
        let history = db.turns().history(user_id(2), id, from, 9).await.unwrap();
        assert!(history.messages.is_empty());
    }
    let stored = db.messages().store(user_id(2), after(9, 6), BRANCHED, None).await;
    assert!(matches!(stored, Err(PortError::Stale)));
}
