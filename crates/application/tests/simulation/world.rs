//! A database in memory, with the rules of the real ones and faults on demand.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream, stream::BoxStream};
use repartee_application::{
    Order, Page, PageRequest,
    ports::{
        Branch, Change, ChangeKind, Changes, Checkpoint, Clock, ConversationFilter,
        ConversationKey, ConversationReference, ConversationRepository, ConversationStats, Done,
        FeedLog, FinishedTurn, History, HistoryFrom, IdGenerator, IdempotencyKeys, LeaseOwner,
        LoggedEvent, MessageReference, MessageRepository, NewKey, NewTurn, Orphan, PastMessage,
        Place, PortError, Question, StoredChange, StoredGeneration, TurnBegun, TurnRepository,
        UsedKey, Watched,
    },
};
use repartee_domain::{
    ConversationId, GenerationId, MessageId, Reference, UserId,
    conversations::{Branching, Conversation, Subject},
    messages::{Feedback, Message},
    replies::{Generation, GenerationState, Turn},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::{client::Told, pace::Pace, tree::Tree};

pub(crate) const START: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);

pub(crate) fn user(n: u64) -> UserId {
    UserId::from_uuid(Uuid::from_u128(u128::from(n) + 1))
}

pub(crate) fn conversation(n: u64) -> ConversationId {
    ConversationId::from_uuid(Uuid::from_u128(u128::from(n) + 100))
}

pub(crate) struct World {
    started: Instant,
    /// For what happens after its caller was told that it failed.
    this: Weak<Self>,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    /// One commit at a time; the next waits for it, as it does for locked rows.
    writing: Arc<tokio::sync::Mutex<()>>,
    late: Mutex<JoinSet<()>>,
    pub(crate) pace: Pace,
}

#[derive(Default)]
pub(crate) struct State {
    ids: u64,
    random: u64,
    pub(crate) conversations: BTreeMap<ConversationId, Conversation>,
    messages: HashMap<MessageId, Message>,
    pub(crate) generations: BTreeMap<GenerationId, Stored>,
    keys: HashMap<(UserId, String), UsedKey>,
    feed: HashMap<UserId, Vec<Row>>,
    /// Nothing goes wrong any more.
    pub(crate) is_calm: bool,
    /// Nothing can be read or written.
    pub(crate) is_away: bool,
    /// The next commit is lost on its way back: it happens, at once or so much later, and its
    /// caller cannot know.
    pub(crate) lose_answer: Option<Duration>,
    /// Whose leases cannot be renewed.
    cut_off: HashSet<LeaseOwner>,
    /// What must not be asked of it. A panic would be the end of whoever asked, and nobody's word.
    pub(crate) wrong: Vec<String>,
}

pub(crate) struct Stored {
    pub(crate) turn: NewTurn,
    lease_owner: LeaseOwner,
    lease_until: DateTime<Utc>,
    is_cancel_requested: bool,
    /// By their first number.
    checkpoints: BTreeMap<u64, Checkpoint>,
    pub(crate) end: Option<FinishedTurn>,
}

/// A pointer, as the feed keeps it.
struct Row {
    conversation: ConversationId,
    kind: ChangeKind,
    message: Option<MessageId>,
    generation: Option<GenerationId>,
}

impl World {
    /// Where everything happens at once.
    pub(crate) fn new(users: u64, conversations: u64) -> Arc<Self> {
        Self::at(Pace::default(), users, conversations)
    }

    pub(crate) fn at(pace: Pace, users: u64, conversations: u64) -> Arc<Self> {
        let mut state = State::default();
        for n in 0..conversations {
            let code = "ABCDEFGHIJ01".parse().unwrap();
            let owner = user(n % users);
            let new = Conversation::begin(conversation(n), code, owner, Subject::default(), START);
            state.conversations.insert(new.id, new);
        }
        Arc::new_cyclic(|this| Self {
            started: Instant::now(),
            this: this.clone(),
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
            writing: Arc::default(),
            late: Mutex::default(),
            pace,
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn reach(&self) -> Result<MutexGuard<'_, State>, PortError> {
        let state = self.state();
        if state.is_away { Err(lost()) } else { Ok(state) }
    }

    async fn read(&self) -> Result<MutexGuard<'_, State>, PortError> {
        self.pace.pause().await;
        self.reach()
    }

    /// All of it, or nothing where it fails.
    async fn commit<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut State) -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        self.pace.pause().await;
        let turn = Arc::clone(&self.writing).lock_owned().await;
        let Some(later) = self.reach()?.lose_answer.take() else {
            let answer = self.write(write);
            drop(turn);
            self.pace.pause().await;
            return answer;
        };
        let world = self.this.upgrade().unwrap();
        self.late.lock().unwrap().spawn(async move {
            sleep(later).await;
            let _ = world.write(write);
            drop(turn);
        });
        Err(lost())
    }

    fn write<T>(
        &self,
        write: impl FnOnce(&mut State) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        let mut state = self.state();
        let changes = |state: &State| state.feed.values().map(Vec::len).sum::<usize>();
        let before = changes(&state);
        let answer = write(&mut state);
        if changes(&state) > before {
            self.changed.send_replace(());
        }
        answer
    }
}

fn lost() -> PortError {
    PortError::Unavailable("the connection was lost".into())
}

impl State {
    fn tell(&mut self, owner: UserId, rows: impl IntoIterator<Item = Row>) {
        self.feed.entry(owner).or_default().extend(rows);
    }

    fn expect(&mut self, is_right: bool, what: &str, generation: GenerationId) {
        if !is_right {
            self.wrong.push(format!("{what} {generation}"));
        }
    }

    /// A model is shown what was said before its question, to the last word.
    pub(crate) fn check_prompt(&mut self, shown: &[Turn]) {
        let question = shown.last().unwrap();
        // Otherwise it was deleted meanwhile.
        let mut asked = self.messages.values().filter(|asked| asked.content == question.content);
        let Some((id, conversation)) = asked.next().map(|asked| (asked.id, asked.conversation))
        else {
            return;
        };
        let tree = self.tree(conversation);
        let said = tree.past(HistoryFrom::At(id)).into_iter().rev();
        let said = said.filter(|m| !m.content.is_empty()).map(|m| &m.content);
        if !said.eq(shown.iter().skip(1).map(|turn| &turn.content)) {
            self.wrong.push(format!("{id}: its prompt is another: {shown:?}"));
        }
    }

    /// What was said in a conversation.
    fn tree(&self, conversation: ConversationId) -> Tree<'_> {
        let replies = self
            .generations
            .values()
            .map(|stored| stored.end.as_ref().map_or(&stored.turn.reply, |end| &end.ended.reply));
        let said = self.messages.values().chain(replies);
        let said = said.filter(|message| message.conversation == conversation);
        let known = self.conversations.get(&conversation);
        Tree {
            said: said.map(|message| (message.id, message)).collect(),
            is_branched: known.is_some_and(|known| known.is_branched),
        }
    }

    /// Any message of a conversation.
    pub(crate) fn message(&self, conversation: ConversationId, id: MessageId) -> Option<Message> {
        self.tree(conversation).said.get(&id).map(|message| Message::clone(message))
    }

    /// Stores a question where its conversation is as it is thought to be: what was said there is
    /// made a tree where this is its first branch.
    fn branch(&mut self, turn: &NewTurn) {
        let conversation = turn.generation.conversation;
        if turn.branching == Branching::First {
            for (id, parent) in self.tree(conversation).threads() {
                self.messages.get_mut(&id).unwrap().parent = parent;
            }
        }
        if turn.branching != Branching::Linear {
            self.conversations.get_mut(&conversation).unwrap().is_branched = true;
        }
        let Question::New(question) = &turn.question else { return };
        let tree = self.tree(conversation);
        let end = tree.past(HistoryFrom::End).first().map(|last| last.id);
        let expected = match (tree.is_branched, super::edited(&question.content)) {
            (false, _) => None,
            (true, None) => end,
            (true, Some(edited)) => tree.said.get(&edited).and_then(|edited| edited.parent),
        };
        let is_right = question.parent == expected;
        self.expect(is_right, "a question in the wrong place of", turn.generation.id);
        self.messages.insert(question.id, question.clone());
    }

    fn running(&self) -> impl Iterator<Item = &Stored> {
        self.generations.values().filter(|stored| stored.end.is_none())
    }

    fn resolve(&self, row: &Row) -> Option<Change> {
        let generation = || self.generations.get(&row.generation?);
        Some(match row.kind {
            ChangeKind::MessageCreated => {
                Change::MessageCreated(Box::new(self.messages.get(&row.message?)?.clone()))
            }
            ChangeKind::GenerationStarted => {
                Change::GenerationStarted(Box::new(generation()?.turn.generation.clone()))
            }
            ChangeKind::GenerationEnded => {
                let stored = generation()?;
                let terminal = &stored.end.as_ref()?.terminal;
                let terminal = terminal.renumbered(terminal.seq);
                Change::GenerationEnded(Box::new(stored.turn.generation.clone()), terminal)
            }
            ChangeKind::ConversationCreated => {
                let created = self.conversations.get(&row.conversation)?;
                Change::ConversationCreated(Box::new(created.clone()))
            }
            ChangeKind::ConversationDeleted => Change::ConversationDeleted,
            _ => return None,
        })
    }

    /// Whether a device was told everything that happened to a user since it began to listen, as
    /// far as it is still there.
    pub(crate) fn is_told(&self, owner: UserId, told: &Told) -> bool {
        let rows = self.feed.get(&owner).map_or(&[][..], Vec::as_slice);
        let rows = rows.iter().skip(usize::try_from(told.began).unwrap());
        rows.filter_map(|row| Some((row, self.resolve(row)?)))
            .all(|(row, change)| told.knows(row.conversation, &change))
    }

    /// The number of a user's newest change.
    pub(crate) fn newest(&self, owner: UserId) -> u64 {
        self.feed.get(&owner).map_or(0, |rows| rows.len() as u64)
    }

    /// As if those who hold leases had not renewed them for long, and could not.
    pub(crate) fn cut_off_all(&mut self) {
        for stored in self.generations.values_mut() {
            stored.lease_until = START;
            self.cut_off.insert(stored.lease_owner);
        }
    }

    pub(crate) fn reconnect_all(&mut self) {
        self.cut_off.clear();
    }

    fn begin(&mut self, turn: NewTurn) -> TurnBegun {
        let Generation { id, owner, conversation, user_message, .. } = turn.generation;
        let key = turn.key.as_ref().map(|key: &NewKey| (owner, key.key.clone()));
        if let Some(used) = key.as_ref().and_then(|key| self.keys.get(key)) {
            return TurnBegun::KeyUsed(*used);
        }
        if !self.conversations.contains_key(&conversation) {
            return TurnBegun::ConversationClosed;
        }
        if let Some(other) = self.running().find(|s| s.turn.generation.conversation == conversation)
        {
            return TurnBegun::ReplyInProgress(other.turn.generation.id);
        }
        let running = self.running().filter(|s| s.turn.generation.owner == owner).count();
        if running >= turn.most_running as usize {
            return TurnBegun::TooManyRunning;
        }
        let mut unseen =
            self.feed.get(&owner).into_iter().flatten().skip(usize::try_from(turn.seen).unwrap());
        let said = [ChangeKind::MessageCreated, ChangeKind::GenerationEnded];
        let is_branched = self.conversations[&conversation].is_branched;
        if unseen.any(|r| r.conversation == conversation && said.contains(&r.kind))
            || is_branched != (turn.branching == Branching::Branched)
        {
            return TurnBegun::Outdated;
        }
        if let Some(key) = key {
            let fingerprint = turn.key.as_ref().unwrap().fingerprint;
            self.keys.insert(key, UsedKey { fingerprint, done: Done::Turn(id) });
        }
        self.branch(&turn);
        let last = Some(turn.generation.created_at);
        self.conversations.get_mut(&conversation).unwrap().last_message_at = last;
        let row = |kind, message, generation| Row { conversation, kind, message, generation };
        let is_new = matches!(turn.question, Question::New(_));
        let asked = is_new.then(|| row(ChangeKind::MessageCreated, Some(user_message), None));
        let started = row(ChangeKind::GenerationStarted, None, Some(id));
        self.tell(owner, asked.into_iter().chain([started]));
        let stored = Stored {
            lease_owner: turn.lease_owner,
            lease_until: turn.lease_until,
            turn,
            is_cancel_requested: false,
            checkpoints: BTreeMap::new(),
            end: None,
        };
        self.generations.insert(id, stored);
        TurnBegun::Begun
    }

    /// Replaces one that was stored before by somebody who could not know.
    fn save(&mut self, checkpoint: Checkpoint) {
        let id = checkpoint.generation;
        let running = self.generations.get_mut(&id).filter(|stored| stored.end.is_none());
        let Some(stored) = running else { return };
        stored.checkpoints.insert(checkpoint.events[0].seq, checkpoint);
        let numbers: Vec<_> = stored.events().map(|event| event.seq).collect();
        self.expect((1..).zip(&numbers).all(|(n, seq)| n == *seq), "a gap in", id);
    }

    fn finish(&mut self, turn: FinishedTurn) -> Result<(), PortError> {
        let Generation { id, owner, conversation, .. } = turn.ended.generation;
        self.generations.get(&id).filter(|stored| stored.end.is_none()).ok_or(PortError::Stale)?;
        if let Some(unsaved) = turn.unsaved.clone() {
            self.save(unsaved);
        }
        let Orphan { last_seq, text, .. } = self.generations[&id].orphan();
        self.expect(turn.terminal.seq == last_seq + 1, "the end has not the next number in", id);
        self.expect(turn.ended.reply.content == text, "what is stored was not told in", id);
        self.generations.get_mut(&id).unwrap().end = Some(turn);
        let kind = ChangeKind::GenerationEnded;
        self.tell(owner, [Row { conversation, kind, message: None, generation: Some(id) }]);
        Ok(())
    }

    fn delete(&mut self, owner: UserId, id: ConversationId) -> bool {
        if self.conversations.get(&id).is_none_or(|found| found.owner != owner) {
            return false;
        }
        self.conversations.remove(&id);
        self.messages.retain(|_, message| message.conversation != id);
        self.generations.retain(|_, stored| stored.turn.generation.conversation != id);
        let kind = ChangeKind::ConversationDeleted;
        self.tell(owner, [Row { conversation: id, kind, message: None, generation: None }]);
        true
    }
}

impl Stored {
    fn events(&self) -> impl Iterator<Item = &Arc<LoggedEvent>> {
        self.checkpoints.values().flat_map(|checkpoint| &checkpoint.events)
    }

    fn orphan(&self) -> Orphan {
        Orphan {
            generation: self.turn.generation.clone(),
            reply: self.turn.reply.clone(),
            text: self.checkpoints.values().map(|checkpoint| checkpoint.text.as_str()).collect(),
            last_seq: self.events().last().map_or(0, |event| event.seq),
            reserved: None,
        }
    }
}

#[async_trait]
impl TurnRepository for World {
    async fn begin_turn(&self, turn: NewTurn) -> Result<TurnBegun, PortError> {
        self.commit(|state| Ok(state.begin(turn))).await
    }

    async fn checkpoint(&self, checkpoints: Vec<Checkpoint>) -> Result<(), PortError> {
        self.commit(|state| {
            for checkpoint in checkpoints {
                state.save(checkpoint);
            }
            Ok(())
        })
        .await
    }

    async fn finish_turn(&self, turn: FinishedTurn) -> Result<(), PortError> {
        self.commit(|state| state.finish(turn)).await
    }

    async fn settle_turn(&self, turn: FinishedTurn, stored_to: u64) -> Result<bool, PortError> {
        self.commit(move |state| {
            let stored = state.generations.get(&turn.ended.generation.id);
            let running = stored.filter(|stored| stored.end.is_none());
            if running.is_some_and(|stored| stored.orphan().last_seq > stored_to) {
                return Ok(false);
            }
            state.finish(turn).map(|()| true)
        })
        .await
    }

    async fn renew_leases(
        &self,
        owner: LeaseOwner,
        generations: Vec<GenerationId>,
        until: DateTime<Utc>,
    ) -> Result<(), PortError> {
        self.commit(move |state| {
            if state.cut_off.contains(&owner) {
                return Err(lost());
            }
            for id in generations {
                let stored = state.generations.get_mut(&id);
                if let Some(stored) = stored.filter(|stored| stored.lease_owner == owner) {
                    stored.lease_until = until;
                }
            }
            Ok(())
        })
        .await
    }

    async fn orphans(
        &self,
        _: LeaseOwner,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Orphan>, PortError> {
        let state = self.read().await?;
        let left = state.running().filter(|s| s.lease_until < now);
        Ok(left.take(limit as usize).map(Stored::orphan).collect())
    }

    async fn running(
        &self,
        owner: UserId,
        conversation: ConversationId,
    ) -> Result<Option<GenerationId>, PortError> {
        let running = self.running_of(owner).await?;
        Ok(running.into_iter().find(|g| g.conversation == conversation).map(|g| g.id))
    }

    async fn running_of(&self, owner: UserId) -> Result<Vec<Generation>, PortError> {
        let state = self.read().await?;
        let generations = state.running().map(|stored| stored.turn.generation.clone());
        Ok(generations.filter(|generation| generation.owner == owner).collect())
    }

    async fn request_cancel(
        &self,
        generation: GenerationId,
        _: DateTime<Utc>,
    ) -> Result<(), PortError> {
        self.commit(move |state| {
            if let Some(stored) = state.generations.get_mut(&generation) {
                stored.is_cancel_requested = true;
            }
            Ok(())
        })
        .await
    }

    async fn cancel_requests(&self, owner: LeaseOwner) -> Result<Vec<GenerationId>, PortError> {
        let state = self.read().await?;
        let asked = state.running().filter(|s| s.is_cancel_requested && s.lease_owner == owner);
        Ok(asked.map(|stored| stored.turn.generation.id).collect())
    }

    async fn orphan(&self, generation: GenerationId) -> Result<Option<Orphan>, PortError> {
        let state = self.read().await?;
        let stored = state.generations.get(&generation).filter(|stored| stored.end.is_none());
        Ok(stored.map(Stored::orphan))
    }

    async fn forget_events(&self, _: DateTime<Utc>, _: u32) -> Result<u64, PortError> {
        Ok(0)
    }

    async fn find(
        &self,
        owner: UserId,
        generation: GenerationId,
    ) -> Result<Option<StoredGeneration>, PortError> {
        let state = self.read().await?;
        let stored = state.generations.get(&generation);
        let stored = stored.filter(|stored| stored.turn.generation.owner == owner);
        Ok(stored.map(|stored| StoredGeneration {
            generation: stored.turn.generation.clone(),
            state: match &stored.end {
                Some(end) => end.ended.outcome.state(),
                None => GenerationState::Streaming,
            },
            attempts: stored.end.as_ref().map_or(0, |end| end.ended.attempts),
            last_seq: stored.end.as_ref().map(|end| end.terminal.seq),
            ended_at: None,
        }))
    }

    async fn events_after(
        &self,
        generation: GenerationId,
        after: u64,
    ) -> Result<Vec<LoggedEvent>, PortError> {
        let state = self.read().await?;
        let Some(stored) = state.generations.get(&generation) else { return Ok(Vec::new()) };
        let end = stored.end.as_ref().map(|end| &end.terminal);
        let events = stored.events().chain(end).filter(|event| event.seq > after);
        Ok(events.map(|event| event.renumbered(event.seq)).collect())
    }

    async fn history(
        &self,
        owner: UserId,
        conversation: ConversationId,
        from: HistoryFrom,
        limit: u32,
    ) -> Result<History, PortError> {
        let state = self.read().await?;
        let past = state.tree(conversation).past(from).into_iter().take(limit as usize);
        let messages =
            past.map(|m| PastMessage { id: m.id, role: m.role, content: m.content.clone() });
        Ok(History { messages: messages.collect(), seen: state.newest(owner) })
    }
}

#[async_trait]
impl FeedLog for World {
    async fn newest(&self, owner: UserId) -> Result<u64, PortError> {
        Ok(self.read().await?.newest(owner))
    }

    async fn changes_after(
        &self,
        owner: UserId,
        conversation: Option<ConversationId>,
        after: u64,
        limit: u32,
    ) -> Result<Option<Changes>, PortError> {
        let state = self.read().await?;
        let rows = state.feed.get(&owner).map_or(&[][..], Vec::as_slice);
        let Some(rest) = rows.get(usize::try_from(after).unwrap()..) else { return Ok(None) };
        let page = rest.len().min(limit as usize);
        let changes = rest[..page].iter().zip(after + 1..).filter_map(|(row, seq)| {
            let is_asked_for = conversation.is_none_or(|only| only == row.conversation);
            let change = state.resolve(row).filter(|_| is_asked_for)?;
            Some(StoredChange { seq, conversation: Some(row.conversation), change })
        });
        Ok(Some(Changes {
            changes: changes.collect(),
            read_to: after + page as u64,
            has_more: page < rest.len(),
        }))
    }

    fn watch(&self, _: UserId, _: Watched) -> BoxStream<'static, ()> {
        let changes = self.changed.subscribe();
        stream::unfold((changes, true), |(mut changes, is_first)| async move {
            if !is_first && changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            Some(((), (changes, false)))
        })
        .boxed()
    }

    async fn forget(&self, _: DateTime<Utc>, _: u32) -> Result<u64, PortError> {
        Ok(0)
    }
}

#[async_trait]
impl IdempotencyKeys for World {
    async fn find(
        &self,
        owner: UserId,
        _: &'static str,
        key: &str,
        _: DateTime<Utc>,
    ) -> Result<Option<UsedKey>, PortError> {
        Ok(self.read().await?.keys.get(&(owner, key.to_owned())).copied())
    }

    async fn forget(&self, _: DateTime<Utc>, _: u32) -> Result<u64, PortError> {
        Ok(0)
    }
}

#[async_trait]
impl ConversationRepository for World {
    async fn insert(
        &self,
        new: Conversation,
        _: Option<NewKey>,
    ) -> Result<Option<UsedKey>, PortError> {
        self.commit(move |state| {
            let (owner, conversation) = (new.owner, new.id);
            state.conversations.insert(conversation, new);
            let kind = ChangeKind::ConversationCreated;
            state.tell(owner, [Row { conversation, kind, message: None, generation: None }]);
            Ok(None)
        })
        .await
    }

    async fn find(
        &self,
        owner: UserId,
        conversation: ConversationReference,
    ) -> Result<Option<Conversation>, PortError> {
        let state = self.read().await?;
        let found = state.conversations.values().find(|known| conversation == known.id.into());
        Ok(found.filter(|found| found.owner == owner).cloned())
    }

    async fn list(
        &self,
        _: UserId,
        _: ConversationFilter,
        _: PageRequest<ConversationKey>,
    ) -> Result<Page<Conversation, ConversationKey>, PortError> {
        unreachable!("nobody lists")
    }

    async fn save(&self, _: Conversation, _: ChangeKind) -> Result<Conversation, PortError> {
        unreachable!("nobody changes conversations")
    }

    async fn delete(
        &self,
        owner: UserId,
        id: ConversationId,
        _: DateTime<Utc>,
    ) -> Result<bool, PortError> {
        self.commit(move |state| Ok(state.delete(owner, id))).await
    }
}

#[async_trait]
impl MessageRepository for World {
    async fn list(
        &self,
        _: UserId,
        _: ConversationReference,
        _: Branch,
        _: Order,
        _: PageRequest<MessageId>,
    ) -> Result<Option<Page<Message, MessageId>>, PortError> {
        unreachable!("nobody lists")
    }

    async fn store(
        &self,
        _: UserId,
        _: Message,
        _: Place,
        _: Option<NewKey>,
    ) -> Result<Option<UsedKey>, PortError> {
        unreachable!("every message is answered")
    }

    async fn find(&self, _: UserId, message: MessageId) -> Result<Option<Message>, PortError> {
        Ok(self.read().await?.messages.get(&message).cloned())
    }

    async fn find_in(
        &self,
        _: UserId,
        conversation: ConversationReference,
        message: MessageReference,
    ) -> Result<Option<Message>, PortError> {
        let (Reference::Id(conversation), Reference::Id(id)) = (conversation, message) else {
            unreachable!("nobody uses codes")
        };
        Ok(self.read().await?.message(conversation, id))
    }

    async fn rate(&self, _: UserId, _: MessageId, _: Option<Feedback>) -> Result<bool, PortError> {
        unreachable!("nobody rates")
    }

    async fn stats(
        &self,
        _: UserId,
        _: ConversationReference,
    ) -> Result<Option<ConversationStats>, PortError> {
        unreachable!("nobody asks")
    }
}

impl Clock for World {
    fn now(&self) -> DateTime<Utc> {
        START + TimeDelta::from_std(self.started.elapsed()).unwrap()
    }
}

impl IdGenerator for World {
    fn id(&self) -> Uuid {
        let mut state = self.state();
        state.ids += 1;
        Uuid::from_u128(10_000 + u128::from(state.ids))
    }

    fn random(&self) -> [u8; 32] {
        let mut state = self.state();
        state.random = super::next(state.random);
        [(state.random >> 33).to_le_bytes()[0]; 32]
    }
}
