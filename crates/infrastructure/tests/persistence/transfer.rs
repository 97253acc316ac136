//! The contract of `TransferRepository`.

use repartee_application::{
    Order, PageRequest,
    ports::{
        Branch, Brought, ConversationRepository, Done, FeedLog, MessageRepository, PortError,
        TransferRepository, UsedKey,
    },
};
use repartee_domain::{
    conversations::Conversation,
    messages::{Message, MessageRole, MessageStatus, Writing},
};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{NOW, at, conversation, conversation_id, key, message_id, said, user_id},
};

on_both_databases!(
    a_conversation_comes_with_everything_said_in_it,
    a_long_one_does_too,
    a_conversation_without_messages_comes_as_well,
    what_cannot_be_stored_leaves_nothing_behind,
    under_one_key_it_is_stored_once,
);

/// A question with two answers, of which one was interrupted.
fn brought(n: u32) -> Brought {
    let question = said(10 * n, n, "Which tea? 🍵");
    let reply = |place: u32, status| Message {
        parent: Some(question.id),
        role: MessageRole::Assistant,
        status,
        writing: Some(Writing::elsewhere("another server's".into())),
        ..said(10 * n + place, n, "Sencha")
    };
    let messages = vec![
        question.clone(),
        reply(1, MessageStatus::Interrupted),
        reply(2, MessageStatus::Complete),
    ];
    let last_message_at = Some(at(-5));
    let is_branched = true;
    let conversation = Conversation { last_message_at, is_branched, ..conversation(n, 1) };
    Brought { conversation, messages }
}

async fn messages(db: &TestDatabase, n: u32, limit: u32) -> Option<Vec<Message>> {
    let page = PageRequest { limit, after: None };
    let (owner, id) = (user_id(1), conversation_id(n).into());
    let page = db.messages().list(owner, id, Branch::All, Order::Ascending, page).await.unwrap();
    page.map(|page| page.items)
}

async fn a_conversation_comes_with_everything_said_in_it(db: &TestDatabase) {
    db.with_user(1).await;
    let before = db.feed().newest(user_id(1)).await.unwrap();
    let brought = brought(1);

    assert_eq!(db.transfers().insert(brought.clone(), None, at(99)).await.unwrap(), None);

    let found = db.conversations().find(user_id(1), conversation_id(1).into()).await.unwrap();
    assert_eq!(found, Some(brought.conversation));
    assert_eq!(messages(db, 1, 100).await, Some(brought.messages));
    let after = db.feed().newest(user_id(1)).await.unwrap();
    assert_eq!(after, before + 1, "the conversation is told, and no message");
}

async fn a_long_one_does_too(db: &TestDatabase) {
    db.with_user(1).await;
    let messages: Vec<_> = (1..=1_203).map(|n| said(n, 1, "Hm.")).collect();
    let brought = Brought { conversation: conversation(1, 1), messages };
    db.transfers().insert(brought, None, NOW).await.unwrap();
    assert_eq!(db.count("messages").await, 1_203);
}

async fn a_conversation_without_messages_comes_as_well(db: &TestDatabase) {
    db.with_user(1).await;
    let brought = Brought { conversation: conversation(1, 1), messages: vec![] };
    db.transfers().insert(brought, None, NOW).await.unwrap();
    assert_eq!(messages(db, 1, 100).await, Some(vec![]));
}

async fn what_cannot_be_stored_leaves_nothing_behind(db: &TestDatabase) {
    db.with_user(1).await;
    let before = db.feed().newest(user_id(1)).await.unwrap();
    let mut brought = brought(1);
    brought.messages[2].id = message_id(10);

    let refused = db.transfers().insert(brought, Some(key("k", at(60))), NOW).await;

    assert!(matches!(refused, Err(PortError::Unavailable(_))), "{refused:?}");
    assert_eq!(db.count("conversations").await, 0);
    assert_eq!(db.count("idempotency_keys").await, 0);
    assert_eq!(db.feed().newest(user_id(1)).await.unwrap(), before);
}

async fn under_one_key_it_is_stored_once(db: &TestDatabase) {
    db.with_user(1).await;
    let transfers = db.transfers();
    let store = |n| transfers.insert(brought(n), Some(key("k", at(60))), NOW);

    let (one, two) = tokio::join!(store(1), store(2));

    let used = [one.unwrap(), two.unwrap()];
    let stored = if used[0].is_none() { 1 } else { 2 };
    let expected =
        UsedKey { fingerprint: [3; 32], done: Done::Resource(conversation_id(stored).as_uuid()) };
    assert_eq!(used.iter().flatten().collect::<Vec<_>>(), [&expected]);
    assert_eq!(db.count("conversations").await, 1);
    assert_eq!(db.count("messages").await, 3);
}
