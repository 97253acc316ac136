//! One subscriber of a feed.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use repartee_domain::{ConversationId, GenerationId, replies::Generation};
use tokio::time::timeout;

use super::{FeedCursor, FeedEvent, FeedItem, FeedPorts};
use crate::{
    Actor, AppError,
    ports::{Change, EventKind, EventStream, LoggedEvent, StoredChange, Watched},
};

/// Changes read at a time.
const PAGE: u32 = 100;
/// A reply that ended has all of its text in its log already, or almost.
const LAST_WORDS: Duration = Duration::from_secs(5);

pub(super) struct Reader {
    ports: Arc<FeedPorts>,
    actor: Actor,
    /// Of this one alone.
    conversation: Option<ConversationId>,
    cursor: FeedCursor,
    /// To be told before anything else is looked at.
    pending: VecDeque<Pending>,
    changes: VecDeque<StoredChange>,
    /// How far `changes` were read.
    read_to: u64,
    /// Whether there may be stored changes that were not read.
    is_behind: bool,
    news: BoxStream<'static, ()>,
    /// Replies that are being written, as far as they were told.
    writing: Vec<Writing>,
    is_over: bool,
}

enum Pending {
    Reset,
    /// A reply that was being written when the feed began.
    Started(Generation),
    /// The end of a reply, once the last of its text was told.
    Ended(StoredChange, GenerationId),
}

struct Writing {
    generation: GenerationId,
    conversation: ConversationId,
    /// `None`: not opened yet.
    events: Option<EventStream>,
    is_read: bool,
}

impl Reader {
    pub(super) async fn start(
        ports: Arc<FeedPorts>,
        actor: Actor,
        conversation: Option<ConversationId>,
        cursor: Option<FeedCursor>,
    ) -> Result<Self, AppError> {
        // Before anything is read: what comes in between wakes it.
        let news = ports.feed.watch(actor.user, Watched::Changes);
        let mut reader = Self {
            ports,
            actor,
            conversation,
            cursor: FeedCursor::default(),
            pending: VecDeque::new(),
            changes: VecDeque::new(),
            read_to: 0,
            is_behind: true,
            news,
            writing: Vec::new(),
            is_over: false,
        };
        match cursor {
            None => reader.start_now().await?,
            Some(cursor) => reader.resume(cursor).await?,
        }
        Ok(reader)
    }

    pub(super) fn cursor(&self) -> FeedCursor {
        self.cursor.clone()
    }

    pub(super) fn into_stream(self) -> BoxStream<'static, FeedEvent> {
        stream::unfold(self, |mut reader| async move {
            match reader.next().await {
                Ok(event) => event.map(|event| (event, reader)),
                Err(error) => {
                    // Whoever comes back goes on after what was told.
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a feed cannot be read on"
                    );
                    None
                }
            }
        })
        .boxed()
    }

    /// From here on, with what is being written.
    async fn start_now(&mut self) -> Result<(), AppError> {
        // In this order: what begins in between is a change after it. Of what ends in between only
        // the end is told.
        let newest = self.ports.feed.newest(self.actor.user).await?;
        let running = self.ports.turns.running_of(self.actor.user).await?;
        self.go_on_after(newest);
        for generation in running {
            self.follow(generation, 0);
        }
        Ok(())
    }

    async fn resume(&mut self, cursor: FeedCursor) -> Result<(), AppError> {
        self.go_on_after(cursor.change);
        for (id, read) in cursor.replies {
            // What is not theirs, or not there any more, is not followed.
            if let Some(found) = self.ports.turns.find(self.actor.user, id).await? {
                self.follow(found.generation, read);
            }
        }
        Ok(())
    }

    fn go_on_after(&mut self, change: u64) {
        self.read_to = change;
        self.cursor = FeedCursor { change, replies: Vec::new() };
        self.changes.clear();
        self.writing.clear();
    }

    /// A reply that was told as far as `read`: 0 says that not even its beginning was, to whoever
    /// is cut before it is.
    fn follow(&mut self, generation: Generation, read: u64) {
        let (id, of) = (generation.id, generation.conversation);
        if self.conversation.is_some_and(|only| only != of) {
            return;
        }
        self.cursor.read(id, read);
        self.writing.push(Writing::of(id, of));
        if read == 0 {
            self.pending.push_back(Pending::Started(generation));
        }
    }

    async fn next(&mut self) -> Result<Option<FeedEvent>, AppError> {
        loop {
            if self.is_over {
                return Ok(None);
            }
            if let Some(pending) = self.pending.pop_front() {
                return self.tell(pending).await.map(Some);
            }
            if let Some(change) = self.changes.pop_front() {
                match self.take(change) {
                    Some(event) => return Ok(Some(event)),
                    None => continue,
                }
            }
            self.cursor.change = self.cursor.change.max(self.read_to);
            if self.is_behind {
                self.read_changes().await?;
                continue;
            }
            self.open_logs().await?;
            tokio::select! {
                biased;
                event = poll_fn(|context| poll_writing(&mut self.writing, context)) => {
                    if let Some((event, conversation)) = event
                        && event.kind == EventKind::Delta
                    {
                        return Ok(Some(self.delta(event, conversation)));
                    }
                }
                _ = self.news.next() => self.is_behind = true,
            }
        }
    }

    async fn read_changes(&mut self) -> Result<(), AppError> {
        let feed = &self.ports.feed;
        let read =
            feed.changes_after(self.actor.user, self.conversation, self.read_to, PAGE).await?;
        if let Some(page) = read {
            self.read_to = self.read_to.max(page.read_to);
            self.is_behind = page.has_more;
            self.changes = page.changes.into();
        } else {
            self.start_now().await?;
            self.pending.push_front(Pending::Reset);
        }
        Ok(())
    }

    /// Follows the replies that are still being written now that every change was read.
    async fn open_logs(&mut self) -> Result<(), AppError> {
        for at in 0..self.writing.len() {
            self.open_log(at).await?;
        }
        Ok(())
    }

    async fn open_log(&mut self, at: usize) -> Result<(), AppError> {
        let writing = &mut self.writing[at];
        if writing.events.is_some() || writing.is_read {
            return Ok(());
        }
        let id = writing.generation;
        let after = self.cursor.read_to(id);
        match self.ports.replies.subscribe(&self.actor, id, after, false).await {
            Ok(Some(events)) => writing.events = Some(events),
            Ok(None) => writing.is_read = true,
            // Deleted: its end will not be told.
            Err(AppError::NotFound { .. }) => {
                writing.is_read = true;
                self.cursor.forget(id);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// What a stored change comes to; `None` for what is not told, or not yet.
    fn take(&mut self, stored: StoredChange) -> Option<FeedEvent> {
        match &stored.change {
            Change::SessionEnded => {
                self.cursor.change = stored.seq;
                return None;
            }
            Change::GenerationStarted(generation) => {
                let (id, of) = (generation.id, generation.conversation);
                self.cursor.change = stored.seq;
                if self.writing.iter().any(|writing| writing.generation == id) {
                    // It was being written when the feed began, and was told then.
                    return None;
                }
                self.writing.push(Writing::of(id, of));
                self.cursor.read(id, 1);
            }
            Change::GenerationEnded(generation, _) => {
                let id = generation.id;
                self.pending.push_back(Pending::Ended(stored, id));
                return None;
            }
            Change::ConversationDeleted => {
                self.is_over = self.conversation.is_some();
                // The ends of its replies are not told: they were deleted with it.
                let Self { writing, cursor, .. } = self;
                writing.retain(|reply| {
                    let is_left = stored.conversation != Some(reply.conversation);
                    if !is_left {
                        cursor.forget(reply.generation);
                    }
                    is_left
                });
            }
            _ => {}
        }
        self.cursor.change = stored.seq;
        Some(self.event(stored.conversation, FeedItem::Change(stored.change)))
    }

    async fn tell(&mut self, pending: Pending) -> Result<FeedEvent, AppError> {
        Ok(match pending {
            Pending::Reset => self.event(None, FeedItem::Reset),
            Pending::Started(generation) => {
                self.cursor.read(generation.id, 1);
                let of = generation.conversation;
                self.event(
                    Some(of),
                    FeedItem::Change(Change::GenerationStarted(Box::new(generation))),
                )
            }
            Pending::Ended(stored, generation) => {
                if let Some((event, conversation)) = self.last_words(generation).await? {
                    self.pending.push_front(Pending::Ended(stored, generation));
                    return Ok(self.delta(event, conversation));
                }
                self.writing.retain(|writing| writing.generation != generation);
                self.cursor.forget(generation);
                self.cursor.change = stored.seq;
                self.event(stored.conversation, FeedItem::Change(stored.change))
            }
        })
    }

    /// Text of a reply that has ended, where not all of it was told.
    async fn last_words(
        &mut self,
        generation: GenerationId,
    ) -> Result<Option<(Arc<LoggedEvent>, ConversationId)>, AppError> {
        let is_it = |writing: &Writing| writing.generation == generation;
        let Some(at) = self.writing.iter().position(is_it) else { return Ok(None) };
        loop {
            self.open_log(at).await?;
            let writing = &mut self.writing[at];
            let Some(events) = writing.events.as_mut().filter(|_| !writing.is_read) else {
                return Ok(None);
            };
            match timeout(LAST_WORDS, events.next()).await {
                Ok(Some(event)) if event.kind == EventKind::Delta => {
                    return Ok(Some((event, writing.conversation)));
                }
                Ok(Some(event)) => writing.is_read = event.kind.is_terminal(),
                Ok(None) => writing.events = None,
                // The log stands still; what is stored has the rest.
                Err(_) => {
                    let after = self.cursor.read_to(generation);
                    let stored = self.ports.turns.events_after(generation, after).await?;
                    writing.events = Some(stream::iter(stored.into_iter().map(Arc::new)).boxed());
                }
            }
        }
    }

    fn delta(&mut self, event: Arc<LoggedEvent>, conversation: ConversationId) -> FeedEvent {
        self.cursor.read(event.generation, event.seq);
        self.event(Some(conversation), FeedItem::Delta(event))
    }

    fn event(&self, conversation: Option<ConversationId>, item: FeedItem) -> FeedEvent {
        FeedEvent { cursor: self.cursor.clone(), conversation, item }
    }
}

impl Writing {
    fn of(generation: GenerationId, conversation: ConversationId) -> Self {
        Self { generation, conversation, events: None, is_read: false }
    }
}

/// The next event of any reply; each gets its turn. `None` where one broke off.
fn poll_writing(
    writing: &mut [Writing],
    context: &mut Context<'_>,
) -> Poll<Option<(Arc<LoggedEvent>, ConversationId)>> {
    for at in 0..writing.len() {
        let reply = &mut writing[at];
        let Some(events) = reply.events.as_mut().filter(|_| !reply.is_read) else { continue };
        match events.poll_next_unpin(context) {
            Poll::Ready(Some(event)) => {
                reply.is_read = event.kind.is_terminal();
                let conversation = reply.conversation;
                writing[at..].rotate_left(1);
                return Poll::Ready(Some((event, conversation)));
            }
            // It broke off: it is looked up again.
            Poll::Ready(None) => {
                reply.events = None;
                return Poll::Ready(None);
            }
            Poll::Pending => {}
        }
    }
    Poll::Pending
}
