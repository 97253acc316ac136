//! Whoever reads: cut off at any moment, and back at any replica.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use repartee_application::{
    Actor, AppError,
    feeds::{FeedCursor, FeedEvent, FeedItem},
    ports::{Change, EventKind, EventStream, LoggedEvent},
};
use repartee_domain::{ConversationId, GenerationId, MessageId};
use tokio::time::{sleep, timeout};

use super::{Random, Replicas, delta_text, world::World};

const SOON: Duration = Duration::from_millis(500);

/// What one client saw of one reply, whatever became of its connections.
pub(crate) type Seen = Arc<Mutex<Vec<Arc<LoggedEvent>>>>;

/// Reads one reply to its end.
pub(crate) async fn read_reply(
    actor: Actor,
    generation: GenerationId,
    mut first: Option<EventStream>,
    replicas: Replicas,
    mut random: Random,
    seen: Seen,
) {
    loop {
        let (after, has_end) = {
            let seen = seen.lock().unwrap();
            let last = seen.last();
            (last.map_or(0, |l| l.seq), last.is_some_and(|l| l.kind == EventKind::Interrupted))
        };
        let events = if let Some(events) = first.take() {
            Some(events)
        } else {
            let replica = replicas.any(&mut random);
            let back = replica.replies.subscribe(&actor, generation, after, has_end).await;
            match back {
                Ok(events) => events,
                // Deleted.
                Err(AppError::NotFound { .. }) => return,
                Err(_) => {
                    sleep(SOON).await;
                    continue;
                }
            }
        };
        // All of it was read.
        let Some(mut events) = events else { return };
        // Cut off after so many events or so much time, whatever comes first.
        let most = random.below(8);
        let patience = Duration::from_millis(1 + random.below(9_000));
        for _ in 0..=most {
            let Ok(Some(event)) = timeout(patience, events.next()).await else { break };
            let mut seen = seen.lock().unwrap();
            assert_eq!(event.seq, seen.last().map_or(0, |last| last.seq) + 1, "the next number");
            assert!(seen.last().is_none_or(|last| !last.kind.is_terminal()), "only one end");
            seen.push(event);
        }
        sleep(Duration::from_millis(1 + random.below(50))).await;
    }
}

/// What one device was told by its feed.
#[derive(Default)]
pub(crate) struct Told {
    /// The number after which it began.
    pub(crate) began: u64,
    /// The newest number once it had begun: of replies that ended in between, only that is told.
    opened: u64,
    changes: u64,
    pub(crate) cursor: FeedCursor,
    conversations: HashSet<ConversationId>,
    deleted: HashSet<ConversationId>,
    messages: HashSet<MessageId>,
    replies: HashMap<GenerationId, Reply>,
    pub(crate) ended: HashMap<GenerationId, String>,
    /// Whose text was not all told: they were deleted meanwhile.
    pub(crate) cut_short: Vec<GenerationId>,
}

struct Reply {
    conversation: ConversationId,
    read: u64,
    text: String,
}

/// Reads a user's feed for ever, and now and then from now on, as whoever forgot what they had.
pub(crate) async fn read_feed(
    actor: Actor,
    world: Arc<World>,
    replicas: Replicas,
    mut random: Random,
    told: Arc<Mutex<Told>>,
) {
    let mut cursor = (random.below(2) == 0).then(FeedCursor::default);
    loop {
        let replica = replicas.any(&mut random);
        let Ok(mut feed) = replica.feeds.subscribe(&actor, None, cursor.clone()).await else {
            sleep(SOON).await;
            continue;
        };
        if cursor.is_none() {
            let opened = world.state().newest(actor.user);
            *told.lock().unwrap() = Told { opened, ..Told::after(feed.cursor.change) };
        }
        told.lock().unwrap().cursor = feed.cursor.clone();
        // Often before it is told much.
        let most = [3, 20][usize::from(random.below(2) == 0)];
        let most = random.below(most);
        let patience = Duration::from_millis(1 + random.below(9_000));
        for _ in 0..most {
            let Ok(Some(event)) = timeout(patience, feed.events.next()).await else { break };
            assert!(!matches!(event.item, FeedItem::Reset), "nothing is forgotten here");
            told.lock().unwrap().take(event);
        }
        drop(feed);
        let read = told.lock().unwrap().cursor.clone();
        assert_eq!(read.to_string().parse(), Ok(read.clone()));
        let forgets = random.below(6) == 0 && !world.state().is_calm;
        cursor = (!forgets).then_some(read);
        sleep(Duration::from_millis(1 + random.below(50))).await;
    }
}

impl Told {
    fn after(change: u64) -> Self {
        Self { began: change, changes: change, ..Self::default() }
    }

    pub(crate) fn take(&mut self, event: FeedEvent) {
        let number = event.cursor.change;
        match event.item {
            FeedItem::Reset => *self = Self::after(number),
            FeedItem::Delta(event) => {
                let generation = event.generation;
                assert!(!self.ended.contains_key(&generation), "text after the end");
                let reply = self.replies.get_mut(&generation).expect("text before start");
                assert!(event.seq > reply.read, "text twice");
                reply.read = event.seq;
                reply.text.push_str(&delta_text(&event).unwrap());
            }
            FeedItem::Change(Change::GenerationStarted(generation)) => {
                // Those that are being written when a feed begins have no number of their own.
                assert!(number >= self.changes, "in order");
                self.changes = number;
                let conversation = generation.conversation;
                let new = Reply { conversation, read: 1, text: String::new() };
                assert!(self.replies.insert(generation.id, new).is_none(), "started twice");
            }
            FeedItem::Change(change) => {
                assert!(number > self.changes, "every change, once, in order");
                self.changes = number;
                let of = event.conversation.unwrap();
                let is_new = match change {
                    Change::ConversationCreated(new) => self.conversations.insert(new.id),
                    Change::ConversationDeleted => {
                        let mut left = event.cursor.replies.iter();
                        let is_left = left.any(|(id, _)| self.replies[id].conversation == of);
                        assert!(!is_left, "what was deleted is waited for");
                        self.deleted.insert(of)
                    }
                    Change::MessageCreated(message) => self.messages.insert(message.id),
                    Change::GenerationEnded(generation, end) => {
                        let end = String::from_utf8(end.data.to_vec()).unwrap();
                        let (outcome, content) = end.split_once('|').unwrap();
                        match self.replies.get(&generation.id) {
                            None => assert!(number <= self.opened, "the end before start"),
                            Some(reply) if outcome == "interrupted" || content == reply.text => {}
                            Some(reply) => {
                                assert!(content.starts_with(&reply.text), "other text was told");
                                self.cut_short.push(generation.id);
                            }
                        }
                        self.ended.insert(generation.id, end).is_none()
                    }
                    _ => true,
                };
                assert!(is_new, "told twice");
            }
        }
        self.cursor = event.cursor;
    }

    pub(crate) fn knows(&self, conversation: ConversationId, change: &Change) -> bool {
        match change {
            Change::ConversationCreated(_) => self.conversations.contains(&conversation),
            Change::ConversationDeleted => self.deleted.contains(&conversation),
            Change::MessageCreated(message) => self.messages.contains(&message.id),
            Change::GenerationStarted(generation) => self.replies.contains_key(&generation.id),
            Change::GenerationEnded(generation, _) => self.ended.contains_key(&generation.id),
            _ => true,
        }
    }
}
