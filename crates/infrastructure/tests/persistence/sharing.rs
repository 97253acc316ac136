//! The contract of `SharedLinkRepository`.

use repartee_application::{
    PageRequest,
    ports::{
        Brought, ConversationRepository, Done, MessageRepository, NewKey, NewLink, Place,
        PortError, SecretHash, SharedLinkRepository, Snapshot, TransferRepository, TurnRepository,
        UsedKey,
    },
};
use repartee_domain::{
    MessageId,
    conversations::{Branching, Conversation},
    messages::{Message, MessageRole},
};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{
        NOW, UPDATED, at, conversation, conversation_id, entry, finished, key, message_id, said,
        secret_hash, user_id,
    },
};

on_both_databases!(
    a_link_shows_what_was_said_when_it_was_made,
    a_reply_that_was_being_written_is_not_shown,
    of_a_tree_the_branch_is_shown_that_was_the_newest,
    what_was_linear_stays_as_it_was_shown,
    system_messages_and_what_says_nothing_are_not_shown,
    messages_come_in_pages,
    another_link_takes_its_place,
    a_link_ends_when_it_is_taken_back_or_expires,
    a_link_ends_with_its_conversation_and_its_owner,
    nobody_shares_what_is_not_theirs,
    under_one_key_one_link_is_made,
);

fn link(n: u8, seconds: i64) -> NewLink {
    NewLink {
        conversation: conversation_id(1),
        owner: user_id(1),
        token: secret_hash(n),
        created_at: at(seconds),
        expires_at: None,
    }
}

async fn put(db: &TestDatabase, link: NewLink) {
    assert_eq!(db.shared_links().put(link, None, entry()).await.unwrap(), None);
}

async fn read(
    db: &TestDatabase,
    token: SecretHash,
    limit: u32,
    after: Option<MessageId>,
) -> Option<Snapshot> {
    db.shared_links().read(token, PageRequest { limit, after }, at(1_000)).await.unwrap()
}

async fn texts(db: &TestDatabase, token: SecretHash) -> Option<Vec<String>> {
    let snapshot = read(db, token, 100, None).await?;
    Some(snapshot.messages.items.into_iter().map(|message| message.content).collect())
}

async fn say(db: &TestDatabase, n: u32, text: &str) {
    db.messages().store(user_id(1), said(n, 1, text), Place::LINEAR, None).await.unwrap();
}

async fn a_link_shows_what_was_said_when_it_was_made(db: &TestDatabase) {
    db.with_conversation(1).await;
    say(db, 1, "Which tea? 🍵").await;
    put(db, link(1, 2)).await;
    say(db, 3, "And which cup?").await;
    let mut renamed = conversation(1, 1);
    renamed.subject.title = Some("A secret".into());
    renamed.updated_at = at(4);
    db.conversations().save(renamed, UPDATED).await.unwrap();

    let shown = read(db, secret_hash(1), 100, None).await.unwrap();

    assert_eq!(shown.title.as_deref(), Some("Conversation 1"));
    assert_eq!((shown.shared_at, shown.expires_at), (at(2), None));
    let [message] = &shown.messages.items[..] else { panic!("{shown:?}") };
    assert_eq!((message.role, &*message.content), (MessageRole::User, "Which tea? 🍵"));
    assert_eq!((message.created_at, &message.model), (at(1), &None));
    assert_eq!(read(db, secret_hash(2), 100, None).await, None);
}

async fn a_reply_that_was_being_written_is_not_shown(db: &TestDatabase) {
    let turn = db.with_turn(1).await;
    put(db, link(1, 50)).await;
    say(db, 60, "And then?").await;
    assert_eq!(texts(db, secret_hash(1)).await.unwrap(), ["Why?"]);

    db.turns().finish_turn(finished(&turn, 1, None)).await.unwrap();

    assert_eq!(texts(db, secret_hash(1)).await.unwrap(), ["Why?"], "it was finished later");
    put(db, link(2, 200)).await;
    let shown = read(db, secret_hash(2), 100, None).await.unwrap().messages.items;
    let texts: Vec<_> = shown.iter().map(|message| &*message.content).collect();
    assert_eq!(texts, ["Why?", "Därför. 🙂", "And then?"]);
    assert_eq!(shown[1].model.as_deref(), Some("fallback"));
}

async fn of_a_tree_the_branch_is_shown_that_was_the_newest(db: &TestDatabase) {
    db.with_user(1).await;
    let after = |n, parent: Option<u32>| Message {
        parent: parent.map(message_id),
        ..said(n, 1, &n.to_string())
    };
    let tree = [(1, None), (2, Some(1)), (3, Some(2)), (4, Some(1)), (5, Some(4))];
    let messages = tree.map(|(n, parent)| after(n, parent)).to_vec();
    let conversation = Conversation { is_branched: true, ..conversation(1, 1) };
    db.transfers().insert(Brought { conversation, messages }, None, NOW).await.unwrap();
    put(db, link(1, 9)).await;
    assert_eq!(texts(db, secret_hash(1)).await.unwrap(), ["1", "4", "5"]);

    let place = Place { branching: Branching::Branched, seen: None };
    for (n, parent) in [(11, 5), (12, 3)] {
        db.messages().store(user_id(1), after(n, Some(parent)), place, None).await.unwrap();
    }

    assert_eq!(texts(db, secret_hash(1)).await.unwrap(), ["1", "4", "5"]);
    put(db, link(2, 20)).await;
    assert_eq!(texts(db, secret_hash(2)).await.unwrap(), ["1", "2", "3", "12"]);
}

async fn what_was_linear_stays_as_it_was_shown(db: &TestDatabase) {
    db.with_conversation(1).await;
    for n in 1..=3 {
        say(db, n, &n.to_string()).await;
    }
    put(db, link(1, 9)).await;
    let place = Place { branching: Branching::First, seen: None };
    let other = Message { parent: Some(message_id(1)), ..said(10, 1, "other") };
    db.messages().store(user_id(1), other, place, None).await.unwrap();
    assert_eq!(texts(db, secret_hash(1)).await.unwrap(), ["1", "2", "3"]);
    put(db, link(2, 20)).await;
    assert_eq!(texts(db, secret_hash(2)).await.unwrap(), ["1", "other"]);
}

async fn system_messages_and_what_says_nothing_are_not_shown(db: &TestDatabase) {
    db.with_conversation(1).await;
    say(db, 1, "Hello").await;
    let system = Message { role: MessageRole::System, ..said(2, 1, "Be kind.") };
    let failed =
        Message { role: MessageRole::Assistant, content: String::new(), ..said(3, 1, "x") };
    for message in [system, failed] {
        db.messages().store(user_id(1), message, Place::LINEAR, None).await.unwrap();
    }
    put(db, link(1, 9)).await;
    assert_eq!(texts(db, secret_hash(1)).await.unwrap(), ["Hello"]);
}

async fn messages_come_in_pages(db: &TestDatabase) {
    db.with_conversation(1).await;
    for n in 1..=5 {
        say(db, n, &n.to_string()).await;
    }
    put(db, link(1, 9)).await;
    let mut after = None;
    let mut pages = Vec::new();
    loop {
        let page = read(db, secret_hash(1), 2, after).await.unwrap().messages;
        pages.push(page.items.iter().map(|message| message.id).collect::<Vec<_>>());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let id = message_id;
    assert_eq!(pages, [vec![id(1), id(2)], vec![id(3), id(4)], vec![id(5)]]);
}

async fn another_link_takes_its_place(db: &TestDatabase) {
    db.with_conversation(1).await;
    put(db, link(1, 1)).await;
    assert_eq!(texts(db, secret_hash(1)).await.unwrap().len(), 0, "nothing was said yet");
    say(db, 2, "Hello").await;
    put(db, link(2, 3)).await;

    assert_eq!(texts(db, secret_hash(1)).await, None);
    assert_eq!(texts(db, secret_hash(2)).await.unwrap(), ["Hello"]);
    assert_eq!(db.count("shared_links").await, 1);
}

async fn a_link_ends_when_it_is_taken_back_or_expires(db: &TestDatabase) {
    db.with_conversation(1).await;
    db.with_user(2).await;
    let links = db.shared_links();
    let remove = async |owner| links.remove(owner, conversation_id(1), entry()).await.unwrap();
    put(db, link(1, 1)).await;
    assert!(!remove(user_id(2)).await);
    assert!(texts(db, secret_hash(1)).await.is_some());
    assert!(remove(user_id(1)).await);
    assert!(!remove(user_id(1)).await);
    assert_eq!(texts(db, secret_hash(1)).await, None);

    put(db, NewLink { expires_at: Some(at(1_000)), ..link(2, 1) }).await;
    assert_eq!(texts(db, secret_hash(2)).await, None);
    put(db, NewLink { expires_at: Some(at(1_001)), ..link(3, 1) }).await;
    assert!(texts(db, secret_hash(3)).await.is_some());
}

async fn a_link_ends_with_its_conversation_and_its_owner(db: &TestDatabase) {
    db.with_conversation(1).await;
    put(db, link(1, 1)).await;
    db.execute("UPDATE users SET is_active = FALSE").await;
    assert_eq!(texts(db, secret_hash(1)).await, None);
    db.execute("UPDATE users SET is_active = TRUE").await;
    assert!(texts(db, secret_hash(1)).await.is_some());

    db.conversations().delete(user_id(1), conversation_id(1), NOW).await.unwrap();

    assert_eq!(texts(db, secret_hash(1)).await, None);
    assert_eq!(db.count("shared_links").await, 0);
}

async fn nobody_shares_what_is_not_theirs(db: &TestDatabase) {
    db.with_conversation(1).await;
    db.with_user(2).await;
    let entries = db.count("audit_logs").await;
    for refused in [
        NewLink { owner: user_id(2), ..link(1, 1) },
        NewLink { conversation: conversation_id(9), ..link(1, 1) },
    ] {
        let refused = db.shared_links().put(refused, None, entry()).await;
        assert!(matches!(refused, Err(PortError::Stale)), "{refused:?}");
    }
    assert_eq!(db.count("shared_links").await, 0);
    assert_eq!(db.count("audit_logs").await, entries, "nothing happened");
}

async fn under_one_key_one_link_is_made(db: &TestDatabase) {
    db.with_conversation(1).await;
    let links = db.shared_links();
    let key = || -> Option<NewKey> { Some(key("k", at(60))) };
    let (one, two) =
        tokio::join!(links.put(link(1, 1), key(), entry()), links.put(link(2, 1), key(), entry()));
    let done = Done::Resource(conversation_id(1).as_uuid());
    let used = UsedKey { fingerprint: [3; 32], done };
    let answers = [one.unwrap(), two.unwrap()];
    assert_eq!(answers.iter().flatten().collect::<Vec<_>>(), [&used]);
    let made = if answers[0].is_none() { 1 } else { 2 };
    assert!(texts(db, secret_hash(made)).await.is_some());
    assert!(texts(db, secret_hash(3 - made)).await.is_none());
}
