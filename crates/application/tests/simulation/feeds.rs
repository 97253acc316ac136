//! What a feed tells, when nothing goes wrong.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use repartee_application::{
    feeds::{FeedCursor, FeedEvent, FeedItem},
    ports::{ChangeKind, ConversationRepository},
    replies::NewMessage,
};
use tokio::time::{sleep, timeout};

use super::{Hub, Random, Replica, actor, client::Told, delta_text, world, world::World};

/// An hour of paused time: what doesn't come until then never does.
const LONG: Duration = Duration::from_hours(1);

/// A replica whose model answers, and never fails.
fn replica(world: &Arc<World>) -> Replica {
    Replica::start(world, None, Random(2))
}

async fn send(replica: &Replica, conversation: u64) {
    let message = NewMessage { content: "Why?".into(), ..NewMessage::default() };
    let conversation = world::conversation(conversation).into();
    let begun = replica.replies.send(&actor(0), conversation, message, None).await.unwrap();
    drop(begun);
}

fn name(event: &FeedEvent) -> &'static str {
    match &event.item {
        FeedItem::Change(change) => change.kind().as_str(),
        FeedItem::Delta(_) => "generation.delta",
        FeedItem::Reset => "reset",
    }
}

/// Names until the reply ended, repetitions left out, and the text told.
async fn story(
    events: &mut (impl StreamExt<Item = FeedEvent> + Unpin),
) -> (Vec<&'static str>, String) {
    let (mut names, mut text) = (Vec::new(), String::new());
    while let Ok(Some(event)) = timeout(LONG, events.next()).await {
        names.push(name(&event));
        if let FeedItem::Delta(event) = &event.item {
            text.push_str(&delta_text(event).unwrap());
        }
        if name(&event) == ChangeKind::GenerationEnded.as_str() {
            break;
        }
    }
    names.dedup();
    (names, text)
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_told_from_the_question_to_the_end() {
    let world = World::new(1, 1);
    let replica = replica(&world);
    let mut feed = replica.feeds.subscribe(&actor(0), None, None).await.unwrap();

    send(&replica, 0).await;

    let (names, text) = story(&mut feed.events).await;
    let expected =
        ["message.created", "generation.started", "generation.delta", "generation.ended"];
    assert_eq!(names, expected);
    assert!(text.starts_with("w0 w1"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_feed_without_a_cursor_tells_running_replies_from_their_beginning() {
    let world = World::new(1, 1);
    let replica = replica(&world);
    let mut first = replica.feeds.subscribe(&actor(0), None, None).await.unwrap();
    send(&replica, 0).await;
    while name(&first.events.next().await.unwrap()) != "generation.delta" {}

    let mut second = replica.feeds.subscribe(&actor(0), None, None).await.unwrap();

    let (names, text) = story(&mut second.events).await;
    assert_eq!(names, ["generation.started", "generation.delta", "generation.ended"]);
    assert!(text.starts_with("w0 "), "{text}");
}

/// Cut after so many events, and resumed from there until both replies ended.
async fn told_after(cut: usize, first: Option<FeedCursor>) -> Told {
    let world = World::new(1, 2);
    let replica = replica(&world);
    send(&replica, 0).await;
    send(&replica, 1).await;
    let mut told = Told::default();
    let mut feed = replica.feeds.subscribe(&actor(0), None, first).await.unwrap();
    let mut cursor = feed.cursor;
    for _ in 0..cut {
        let event = feed.events.next().await.unwrap();
        cursor = event.cursor.clone();
        told.take(event);
    }
    drop(feed.events);
    let cursor = cursor.to_string().parse().unwrap();
    let mut feed = replica.feeds.subscribe(&actor(0), None, Some(cursor)).await.unwrap();
    while told.ended.len() < 2
        && let Ok(Some(event)) = timeout(LONG, feed.events.next()).await
    {
        told.take(event);
    }
    assert_eq!(told.cut_short, []);
    told
}

#[tokio::test(start_paused = true)]
async fn running_replies_are_told_wherever_a_feed_without_a_cursor_is_cut() {
    for cut in 0..6 {
        assert_eq!(told_after(cut, None).await.ended.len(), 2, "cut after {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn running_replies_are_told_wherever_a_feed_is_cut_after_a_reset() {
    let future = FeedCursor { change: 99, replies: Vec::new() };
    for cut in 1..6 {
        let told = told_after(cut, Some(future.clone())).await;
        assert_eq!(told.ended.len(), 2, "cut after {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn replies_of_a_deleted_conversation_are_forgotten() {
    let world = World::new(1, 1);
    let replica = replica(&world);
    let mut feed = replica.feeds.subscribe(&actor(0), None, None).await.unwrap();
    send(&replica, 0).await;
    let mut cursor = feed.cursor;
    while cursor.replies.is_empty() {
        cursor = feed.events.next().await.unwrap().cursor;
    }

    let deleted = ConversationRepository::delete(
        &*world,
        world::user(0),
        world::conversation(0),
        world::START,
    );
    assert!(deleted.await.unwrap());

    let resumed = replica.feeds.subscribe(&actor(0), None, Some(cursor)).await.unwrap();
    assert_eq!(resumed.cursor.replies, [], "what is gone when a feed is resumed");
    let mut last = feed.events.next().await.unwrap();
    while name(&last) != "conversation.deleted" {
        last = feed.events.next().await.unwrap();
    }
    assert_eq!(last.cursor.replies, [], "what goes while a feed is open");
}

/// What a feed tells of a reply after whose first text the log that replicas share went away, to
/// come back, where it does, once the reply was over.
async fn told_while_the_log_is_away(comes_back: bool) -> Told {
    let world = World::new(1, 1);
    let hub = Arc::<Hub>::default();
    let writer = Replica::start(&world, Some(hub.clone()), Random(2));
    let reader = Replica::start(&world, Some(hub.clone()), Random(2));
    let mut feed = reader.feeds.subscribe(&actor(0), None, None).await.unwrap();
    send(&writer, 0).await;
    let mut told = Told::default();
    loop {
        let event = feed.events.next().await.unwrap();
        let is_delta = matches!(event.item, FeedItem::Delta(_));
        told.take(event);
        if is_delta {
            break;
        }
    }
    *hub.is_away.lock().unwrap() = true;
    while world.state().generations.values().any(|stored| stored.end.is_none()) {
        sleep(Duration::from_millis(1)).await;
    }
    *hub.is_away.lock().unwrap() = !comes_back;
    while told.ended.is_empty()
        && let Ok(Some(event)) = timeout(LONG, feed.events.next()).await
    {
        told.take(event);
    }
    told
}

#[tokio::test(start_paused = true)]
async fn a_reply_whose_log_stands_still_is_told_to_its_end_from_what_is_stored() {
    for comes_back in [false, true] {
        let told = told_while_the_log_is_away(comes_back).await;
        assert_eq!((told.ended.len(), told.cut_short), (1, Vec::new()), "{comes_back}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_feed_of_a_conversation_tells_of_no_other() {
    let world = World::new(1, 2);
    let replica = replica(&world);
    let of = world::conversation(1);
    let mut feed = replica.feeds.subscribe(&actor(0), Some(of.into()), None).await.unwrap();

    send(&replica, 0).await;
    send(&replica, 1).await;

    while let Ok(Some(event)) = timeout(LONG, feed.events.next()).await {
        assert_eq!(event.conversation, Some(of), "{}", name(&event));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_any_more_is_begun_anew() {
    let world = World::new(1, 1);
    let replica = replica(&world);
    let future = FeedCursor { change: 99, replies: Vec::new() };
    let mut feed = replica.feeds.subscribe(&actor(0), None, Some(future)).await.unwrap();

    let reset = feed.events.next().await.unwrap();

    assert_eq!((name(&reset), reset.cursor.change), ("reset", 0));
    send(&replica, 0).await;
    assert_eq!(story(&mut feed.events).await.0.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn strangers_see_nothing_of_a_conversation() {
    let world = World::new(2, 2);
    let replica = replica(&world);
    let of = world::conversation(1).into();
    let refused = replica.feeds.subscribe(&actor(0), Some(of), None).await.err().unwrap();
    assert_eq!(refused.classify().1, "conversation_not_found");
}
