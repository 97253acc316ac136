//! The contract of `ConversationRepository`.

use std::collections::HashSet;

use repartee_application::{
    PageRequest,
    ports::{
        ConversationFilter, ConversationKey, ConversationRepository, MessageRepository, Place,
        PortError, TurnRepository,
    },
};
use repartee_domain::{
    Reference, Version,
    conversations::{Conversation, ConversationStatus, ConversationStatusName},
};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{
        NOW, UPDATED, at, conversation, conversation_id, deltas, finished, generation_id, said,
        turn, user_id,
    },
};

on_both_databases!(
    a_conversation_is_found_by_id_and_by_code,
    a_stranger_sees_nothing,
    the_newest_activity_comes_first,
    pages_stay_in_place_while_rows_are_added,
    a_list_is_filtered_by_status,
    a_title_is_searched_as_it_is_written_without_regard_to_case,
    a_conversation_is_saved_with_the_next_version,
    saving_does_not_undo_what_a_turn_did,
    the_second_of_two_writers_is_told_its_copy_is_stale,
    deleting_takes_everything_with_it,
    a_row_that_cannot_be_read_is_corrupt,
);

fn page(limit: u32, after: Option<ConversationKey>) -> PageRequest<ConversationKey> {
    PageRequest { limit, after }
}

fn titled(part: &str) -> ConversationFilter {
    ConversationFilter { title: Some(part.into()), ..ConversationFilter::default() }
}

async fn titles(db: &TestDatabase, filter: ConversationFilter) -> Vec<String> {
    let page = db.conversations().list(user_id(1), filter, page(100, None)).await.unwrap();
    page.items.into_iter().filter_map(|conversation| conversation.subject.title).collect()
}

async fn a_conversation_is_found_by_id_and_by_code(db: &TestDatabase) {
    db.with_conversation(1).await;
    let stored = conversation(1, 1);

    for reference in [Reference::Id(stored.id), Reference::Code(stored.code)] {
        let found = db.conversations().find(user_id(1), reference).await.unwrap();
        assert_eq!(found.as_ref(), Some(&stored));
    }
    let none = db.conversations().find(user_id(1), conversation_id(2).into()).await.unwrap();
    assert_eq!(none, None);
}

async fn a_stranger_sees_nothing(db: &TestDatabase) {
    db.with_conversation(1).await;
    db.with_user(2).await;
    let conversations = db.conversations();
    let mut stolen = conversation(1, 1);
    stolen.owner = user_id(2);

    let filter = ConversationFilter::default();
    assert_eq!(conversations.find(user_id(2), stolen.id.into()).await.unwrap(), None);
    assert!(conversations.list(user_id(2), filter, page(9, None)).await.unwrap().items.is_empty());
    assert!(!conversations.delete(user_id(2), stolen.id, NOW).await.unwrap());
    assert!(matches!(conversations.save(stolen, UPDATED).await, Err(PortError::Stale)));
    assert_eq!(
        conversations.find(user_id(1), conversation_id(1).into()).await.unwrap(),
        Some(conversation(1, 1))
    );
}

async fn the_newest_activity_comes_first(db: &TestDatabase) {
    db.with_user(1).await;
    for n in 1..=3 {
        db.conversations().insert(conversation(n, 1), None).await.unwrap();
    }
    db.messages().store(user_id(1), said(1, 2, "Hello"), Place::LINEAR, None).await.unwrap();

    let titles = titles(db, ConversationFilter::default()).await;

    assert_eq!(titles, ["Conversation 2", "Conversation 3", "Conversation 1"]);
}

async fn pages_stay_in_place_while_rows_are_added(db: &TestDatabase) {
    db.with_user(1).await;
    for n in 1..=5 {
        // Two have the same instant.
        let mut conversation = conversation(n, 1);
        conversation.created_at = at(i64::from(n / 2));
        db.conversations().insert(conversation, None).await.unwrap();
    }
    let (mut seen, mut after) = (Vec::new(), None);
    for added in 10.. {
        let filter = ConversationFilter::default();
        let page = db.conversations().list(user_id(1), filter, page(2, after)).await.unwrap();
        seen.extend(page.items.into_iter().map(|conversation| conversation.id));
        let Some(next) = page.next else { break };
        after = Some(next);
        let mut newer = conversation(added, 1);
        newer.created_at = at(100);
        db.conversations().insert(newer, None).await.unwrap();
    }

    assert_eq!(seen, [5, 4, 3, 2, 1].map(conversation_id));
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 5);
}

async fn a_list_is_filtered_by_status(db: &TestDatabase) {
    db.with_user(1).await;
    let states = [
        ConversationStatus::Active,
        ConversationStatus::Ended { at: at(1) },
        ConversationStatus::Archived,
    ];
    for (n, status) in (1..).zip(states) {
        let conversation = Conversation { status, ..conversation(n, 1) };
        db.conversations().insert(conversation, None).await.unwrap();
    }
    let with =
        |statuses| titles(db, ConversationFilter { statuses, ..ConversationFilter::default() });

    assert_eq!(with(vec![ConversationStatusName::Ended]).await, ["Conversation 2"]);
    let two = vec![ConversationStatusName::Active, ConversationStatusName::Archived];
    assert_eq!(with(two).await, ["Conversation 3", "Conversation 1"]);
    assert_eq!(with(vec![]).await.len(), 3);
}

async fn a_title_is_searched_as_it_is_written_without_regard_to_case(db: &TestDatabase) {
    db.with_user(1).await;
    let written = ["50% off_ers", r"C:\Users", "Ångström ÉTÉ", "สวัสดีชาวโลก", "500 offers"];
    for (n, title) in (1..).zip(written) {
        let mut conversation = conversation(n, 1);
        conversation.subject.title = Some(title.into());
        db.conversations().insert(conversation, None).await.unwrap();
    }
    let mut untitled = conversation(9, 1);
    untitled.subject.title = None;
    db.conversations().insert(untitled, None).await.unwrap();

    for (part, found) in [
        ("0%", vec!["50% off_ers"]),
        ("f_e", vec!["50% off_ers"]),
        ("OFF", vec!["500 offers", "50% off_ers"]),
        (r":\u", vec![r"C:\Users"]),
        ("ångSTRÖM été", vec!["Ångström ÉTÉ"]),
        ("ชาว", vec!["สวัสดีชาวโลก"]),
        ("%", vec!["50% off_ers"]),
        ("nothing", vec![]),
    ] {
        let filter = titled(part);
        assert_eq!(titles(db, filter).await, found, "{part}");
    }
}

async fn a_conversation_is_saved_with_the_next_version(db: &TestDatabase) {
    db.with_conversation(1).await;
    let mut changed = conversation(1, 1);
    changed.subject.title = Some("Te".into());
    changed.subject.system_message = None;
    changed.subject.metadata = None;
    changed.status = ConversationStatus::Ended { at: at(4) };
    changed.updated_at = at(4);

    let saved = db.conversations().save(changed.clone(), UPDATED).await.unwrap();

    changed.version = Version::new(2);
    assert_eq!(saved, changed);
    let found = db.conversations().find(user_id(1), changed.id.into()).await.unwrap();
    assert_eq!(found, Some(changed));
    let by_title = titled("TE");
    assert_eq!(titles(db, by_title).await, ["Te"]);
}

async fn saving_does_not_undo_what_a_turn_did(db: &TestDatabase) {
    db.with_conversation(1).await;
    let read = conversation(1, 1);
    db.turns().begin_turn(turn(1, 1)).await.unwrap();

    db.conversations().save(read, UPDATED).await.unwrap();

    let found = db.conversations().find(user_id(1), conversation_id(1).into()).await.unwrap();
    assert_eq!(found.unwrap().last_message_at, Some(at(2)));
}

async fn the_second_of_two_writers_is_told_its_copy_is_stale(db: &TestDatabase) {
    db.with_conversation(1).await;
    db.conversations().save(conversation(1, 1), UPDATED).await.unwrap();

    let lost = db.conversations().save(conversation(1, 1), UPDATED).await;

    assert!(matches!(lost, Err(PortError::Stale)));
}

async fn deleting_takes_everything_with_it(db: &TestDatabase) {
    let turn = db.with_turn(1).await;
    db.turns().checkpoint(vec![deltas(1, 1, 3)]).await.unwrap();
    db.with_conversation(2).await;
    db.messages().store(user_id(2), said(9, 2, "Hello"), Place::LINEAR, None).await.unwrap();

    assert!(db.conversations().delete(user_id(1), conversation_id(1), NOW).await.unwrap());

    assert!(!db.conversations().delete(user_id(1), conversation_id(1), NOW).await.unwrap());
    for (table, left) in
        [("conversations", 1), ("messages", 1), ("generations", 0), ("generation_checkpoints", 0)]
    {
        assert_eq!(db.count(table).await, left, "{table}");
    }
    let late = db.turns().finish_turn(finished(&turn, 4, None)).await;
    assert!(matches!(late, Err(PortError::Stale)));
    assert_eq!(db.turns().find(user_id(1), generation_id(1)).await.unwrap(), None);
}

async fn a_row_that_cannot_be_read_is_corrupt(db: &TestDatabase) {
    db.with_conversation(1).await;
    let find = async || {
        let conversations = db.conversations();
        conversations.find(user_id(1), conversation_id(1).into()).await
    };

    for broken in [
        "UPDATE conversations SET status = 'odd'",
        "UPDATE conversations SET status = 'ended'",
        "UPDATE conversations SET status = 'active', version = -1",
        "UPDATE conversations SET version = 1, code = 'short'",
    ] {
        db.execute(broken).await;
        assert!(matches!(find().await, Err(PortError::Corrupt(_))), "{broken}");
    }
}
