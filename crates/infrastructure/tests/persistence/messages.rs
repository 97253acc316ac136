//! The contract of `MessageRepository`.

use std::collections::BTreeMap;

use repartee_application::{
    Order, PageRequest,
    ports::{
        Branch, ConversationRepository, ConversationStats, MessageReference, MessageRepository,
        Place, PortError, ReplyTimes, TurnRepository,
    },
};
use repartee_domain::{
    MessageId, Reference, UserId,
    conversations::{Conversation, ConversationStatus},
    messages::{Feedback, Message, MessageRole, Rating},
};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{
        NOW, UPDATED, at, conversation, conversation_id, finished, message_id, said, turn, user_id,
    },
};

on_both_databases!(
    messages_are_listed_in_both_orders,
    pages_stay_in_place_while_messages_are_added,
    a_conversation_without_messages_has_an_empty_page,
    a_stranger_sees_no_conversation,
    a_stored_message_moves_the_last_activity,
    a_closed_conversation_takes_no_message,
    any_unicode_is_kept_as_written,
    a_conversation_is_summed_up,
    nothing_said_sums_up_to_nothing,
    feedback_is_kept_replaced_and_taken_back,
);

async fn list(
    db: &TestDatabase,
    owner: UserId,
    order: Order,
    after: Option<MessageId>,
) -> Option<(Vec<Message>, Option<MessageId>)> {
    let reference = Reference::Id(conversation_id(1));
    let page = PageRequest { limit: 2, after };
    let page = db.messages().list(owner, reference, Branch::Newest, order, page).await.unwrap()?;
    Some((page.items, page.next))
}

async fn three_messages(db: &TestDatabase) {
    db.with_conversation(1).await;
    for n in 1..=3 {
        db.messages().store(user_id(1), said(n, 1, "Hello"), Place::LINEAR, None).await.unwrap();
    }
}

async fn messages_are_listed_in_both_orders(db: &TestDatabase) {
    three_messages(db).await;
    let [one, two, three] = [1, 2, 3].map(|n| said(n, 1, "Hello"));

    let ascending = list(db, user_id(1), Order::Ascending, None).await.unwrap();
    assert_eq!(ascending, (vec![one.clone(), two.clone()], Some(message_id(2))));
    let rest = list(db, user_id(1), Order::Ascending, ascending.1).await.unwrap();
    assert_eq!(rest, (vec![three.clone()], None));

    let descending = list(db, user_id(1), Order::Descending, None).await.unwrap();
    assert_eq!(descending, (vec![three, two], Some(message_id(2))));
    let rest = list(db, user_id(1), Order::Descending, descending.1).await.unwrap();
    assert_eq!(rest, (vec![one], None));

    let by_code = Reference::Code(conversation(1, 1).code);
    let page = PageRequest { limit: 100, after: None };
    let page = db
        .messages()
        .list(user_id(1), by_code, Branch::Newest, Order::Ascending, page)
        .await
        .unwrap();
    assert_eq!(page.unwrap().items.len(), 3);
}

async fn pages_stay_in_place_while_messages_are_added(db: &TestDatabase) {
    three_messages(db).await;
    let (first, next) = list(db, user_id(1), Order::Descending, None).await.unwrap();
    db.messages().store(user_id(1), said(4, 1, "Hello"), Place::LINEAR, None).await.unwrap();
    let (second, last) = list(db, user_id(1), Order::Descending, next).await.unwrap();

    let seen: Vec<_> = first.iter().chain(&second).map(|message| message.id).collect();
    assert_eq!(seen, [3, 2, 1].map(message_id));
    assert_eq!(last, None);
}

async fn a_conversation_without_messages_has_an_empty_page(db: &TestDatabase) {
    db.with_conversation(1).await;

    assert_eq!(list(db, user_id(1), Order::Ascending, None).await, Some((vec![], None)));
}

async fn a_stranger_sees_no_conversation(db: &TestDatabase) {
    three_messages(db).await;

    assert_eq!(list(db, user_id(2), Order::Ascending, None).await, None);
    db.conversations().delete(user_id(1), conversation_id(1), NOW).await.unwrap();
    assert_eq!(list(db, user_id(1), Order::Ascending, None).await, None);
}

async fn a_stored_message_moves_the_last_activity(db: &TestDatabase) {
    three_messages(db).await;

    let found = db.conversations().find(user_id(1), conversation_id(1).into()).await.unwrap();

    let expected = Conversation { last_message_at: Some(at(3)), ..conversation(1, 1) };
    assert_eq!(found, Some(expected));
}

async fn a_closed_conversation_takes_no_message(db: &TestDatabase) {
    three_messages(db).await;
    let ended = ConversationStatus::Ended { at: at(4) };
    let ended = Conversation { status: ended, ..conversation(1, 1) };
    db.conversations().save(ended, UPDATED).await.unwrap();

    for conversation in [1, 2] {
        let refused = db
            .messages()
            .store(user_id(1), said(5, conversation, "Hello"), Place::LINEAR, None)
            .await;
        assert!(matches!(refused, Err(PortError::Stale)));
    }
    assert_eq!(db.count("messages").await, 3);
}

async fn any_unicode_is_kept_as_written(db: &TestDatabase) {
    db.with_conversation(1).await;
    let written = "  👩‍👩‍👧 שלום\r\n\u{202e}ไทย\u{feff} e\u{301} 中文 \\u0000 \u{10ffff} ";
    db.messages().store(user_id(1), said(1, 1, written), Place::LINEAR, None).await.unwrap();

    let (messages, _) = list(db, user_id(1), Order::Ascending, None).await.unwrap();

    assert_eq!(messages, [said(1, 1, written)]);
}

async fn a_conversation_is_summed_up(db: &TestDatabase) {
    db.with_conversation(1).await;
    let mut first = None;
    for n in 1..=4 {
        let turn = turn(n, 1);
        db.turns().begin_turn(turn.clone()).await.unwrap();
        let mut end = finished(&turn, 2, None);
        let writing = end.ended.reply.writing.as_mut().unwrap();
        writing.latency_ms = Some(n * 100);
        first.get_or_insert(writing.clone());
        db.turns().finish_turn(end).await.unwrap();
    }
    let each = first.unwrap();
    let usage = each.usage.unwrap();

    let stats = db.messages().stats(user_id(1), conversation_id(1).into()).await.unwrap().unwrap();

    let roles = [(MessageRole::User, 4), (MessageRole::Assistant, 4)];
    assert_eq!(stats.messages, BTreeMap::from(roles));
    assert_eq!(stats.prompt_tokens, u64::from(usage.prompt_tokens) * 4);
    assert_eq!(stats.completion_tokens, u64::from(usage.completion_tokens) * 4);
    assert_eq!(stats.cost, each.cost.map_or(0, |cost| cost.0) * 4);
    assert_eq!(stats.reply_ms, Some(ReplyTimes { mean: 250, p95: 400 }));
    assert!(stats.first_activity_at <= stats.last_activity_at);
    let stranger = db.messages().stats(user_id(2), conversation_id(1).into()).await.unwrap();
    assert_eq!(stranger, None);
}

async fn nothing_said_sums_up_to_nothing(db: &TestDatabase) {
    db.with_conversation(1).await;
    let stats = db.messages().stats(user_id(1), conversation_id(1).into()).await.unwrap();
    assert_eq!(stats, Some(ConversationStats::default()));
}

async fn feedback_is_kept_replaced_and_taken_back(db: &TestDatabase) {
    three_messages(db).await;
    db.with_user(2).await;
    let messages = db.messages();
    let second = message_id(2);
    let find = async |owner, message: MessageReference| {
        messages.find_in(owner, conversation_id(1).into(), message).await.unwrap()
    };
    let down = Feedback { rating: Rating::Down, comment: Some("🫖 cold".into()), at: at(1) };
    let up = Feedback { rating: Rating::Up, comment: None, at: at(2) };

    assert!(!messages.rate(user_id(2), second, Some(up.clone())).await.unwrap());
    assert!(!messages.rate(user_id(1), message_id(9), Some(up.clone())).await.unwrap());
    for given in [Some(down), Some(up), None, None] {
        assert!(messages.rate(user_id(1), second, given.clone()).await.unwrap());
        let expected = Message { feedback: given, ..said(2, 1, "Hello") };
        let code = Reference::Code(expected.code);
        assert_eq!(find(user_id(1), second.into()).await.as_ref(), Some(&expected));
        assert_eq!(find(user_id(1), code).await.as_ref(), Some(&expected));
        let listed = list(db, user_id(1), Order::Ascending, None).await.unwrap().0;
        assert_eq!(listed[1], expected);
    }
    assert_eq!(find(user_id(2), second.into()).await, None);
    assert_eq!(find(user_id(1), message_id(9).into()).await, None);
}
