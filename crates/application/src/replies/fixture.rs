//! What the reply tests share: fakes that remember, and models that play a script.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, future::BoxFuture, stream};
use repartee_domain::{
    ConversationId, GenerationId, LoginSessionId, MessageId, UserId,
    accounts::Role,
    conversations::{Conversation, Shape, Subject},
    messages::{Message, MessageRole},
    replies::{ContextWindow, FinishReason, Generation, GenerationState, Price, RetryPolicy},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Begun, NewMessage, ReplyPorts, ReplyRules, ReplyService};
use crate::{
    Actor, AppError, Credential, Origin,
    completions::{CompletionPorts, CompletionRules, CompletionService},
    models::{Model, ModelCatalogue, TimeLimits},
    ports::{
        BudgetLedger, ChatChunk, ChatModel, ChatRequest, ChatStream, Checkpoint, Clock,
        EmbeddingRequest, Embeddings, EventEncoder, EventKind, EventStream, FinishedTurn,
        GenerationLog, History, HistoryFrom, IdGenerator, IdempotencyKeys, LeaseOwner, LoggedEvent,
        MockConversationRepository, MockMessageRepository, MockShapeRepository, ModelError,
        ModelStatus, NewTurn, Orphan, PastMessage, PortError, ReplyEvent, Spawner,
        StoredGeneration, TurnBegun, TurnRepository, UsedKey,
    },
};

pub(crate) const ACTOR: Actor = Actor {
    user: UserId::from_uuid(Uuid::from_u128(1)),
    role: Role::User,
    credential: Credential::Session(LoginSessionId::from_uuid(Uuid::from_u128(2))),
    origin: Origin { address: None, user_agent: None, request_id: None },
};
pub(crate) const CONVERSATION: ConversationId = ConversationId::from_uuid(Uuid::from_u128(3));
pub(crate) const START: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);

/// A step of a model's answer.
#[derive(Clone)]
pub(crate) enum Step {
    Text(&'static str),
    Fields(&'static str),
    Usage(u32, u32),
    Finish(FinishReason),
    Wait(Duration),
    Queued(u32),
    Break,
    Hang,
    Panic,
}

pub(crate) type Answer = Result<Vec<Step>, ModelError>;

pub(crate) fn unavailable() -> Answer {
    Err(ModelError::Unavailable { retry_after: None, source: "no route".into() })
}

/// Answers one call after the other, and remembers what it was asked.
#[derive(Default)]
pub(crate) struct ScriptedModel {
    pub(crate) answers: Mutex<VecDeque<Answer>>,
    pub(crate) asked: Mutex<Vec<ChatRequest>>,
    /// What the next requests for vectors come to; the model makes none besides.
    pub(crate) embeddings: Mutex<VecDeque<Result<Embeddings, ModelError>>>,
    pub(crate) embedded: Mutex<Vec<EmbeddingRequest>>,
    pub(crate) embedding_hangs: Mutex<bool>,
}

#[async_trait]
impl ChatModel for ScriptedModel {
    async fn stream(&self, request: ChatRequest) -> Result<ChatStream, ModelError> {
        self.asked.lock().unwrap().push(request);
        let answer = self.answers.lock().unwrap().pop_front();
        let steps = answer.unwrap_or_else(|| Ok(vec![Step::Hang]))?;
        Ok(stream::iter(steps)
            .filter_map(|step| async move {
                match step {
                    Step::Text(text) => Some(Ok(ChatChunk::Text(text.into()))),
                    Step::Fields(fields) => Some(Ok(ChatChunk::Fields(fields.into()))),
                    Step::Usage(prompt_tokens, completion_tokens) => {
                        Some(Ok(ChatChunk::Usage { prompt_tokens, completion_tokens }))
                    }
                    Step::Finish(reason) => Some(Ok(ChatChunk::Finished(reason))),
                    Step::Queued(position) => Some(Ok(ChatChunk::Queued { position })),
                    Step::Wait(time) => {
                        sleep(time).await;
                        None
                    }
                    Step::Break => Some(Err(ModelError::Broken("cut".into()))),
                    Step::Hang => std::future::pending().await,
                    Step::Panic => panic!("a bug in the adapter"),
                }
            })
            .boxed())
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings, ModelError> {
        self.embedded.lock().unwrap().push(request);
        if *self.embedding_hangs.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        let answer = self.embeddings.lock().unwrap().pop_front();
        answer.unwrap_or(Err(ModelError::NoEmbeddings))
    }

    /// A token a word.
    async fn count_tokens(&self, _: &str, texts: Vec<String>) -> Result<Vec<usize>, ModelError> {
        Ok(texts.iter().map(|text| text.split_whitespace().count()).collect())
    }

    async fn models(&self) -> Result<Vec<String>, ModelError> {
        Ok(vec!["scripted".into()])
    }

    fn status(&self) -> ModelStatus {
        ModelStatus::Ready
    }
}

#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) begun: Vec<NewTurn>,
    pub(crate) checkpoints: Vec<(Instant, Checkpoint)>,
    pub(crate) finished: Vec<FinishedTurn>,
    /// Errors that the next calls of `finish_turn` end in.
    pub(crate) refuse_finish: VecDeque<PortError>,
    pub(crate) refuse_checkpoint: VecDeque<PortError>,
    pub(crate) refuse_begin: Option<TurnBegun>,
    /// So many tokens are left for what begins next.
    pub(crate) begin_within: Option<u64>,
    /// The beginning is stored, and its caller cannot know.
    pub(crate) begin_in_doubt: bool,
    /// Errors that the next calls of `orphan` end in.
    pub(crate) refuse_orphan: VecDeque<PortError>,
    pub(crate) history: Vec<Message>,
    /// What is said by others while the next prompts are assembled, each once one was.
    pub(crate) said_meanwhile: VecDeque<Message>,
    pub(crate) orphans: Vec<Orphan>,
    pub(crate) cancel_requests: Vec<GenerationId>,
    pub(crate) renewed: Vec<Vec<GenerationId>>,
    /// What somebody else stored.
    pub(crate) other_events: Vec<(u64, EventKind)>,
}

#[derive(Default)]
pub(crate) struct FakeTurns(pub(crate) Mutex<Stored>);

#[async_trait]
impl TurnRepository for FakeTurns {
    async fn begin_turn(&self, turn: NewTurn) -> Result<TurnBegun, PortError> {
        let mut stored = self.0.lock().unwrap();
        if let Some(refusal) = stored.refuse_begin {
            return Ok(refusal);
        }
        if let Some(said) = stored.said_meanwhile.pop_front() {
            stored.history.push(said);
        }
        if turn.seen < stored.history.len() as u64 {
            return Ok(TurnBegun::Outdated);
        }
        stored.begun.push(turn);
        if stored.begin_in_doubt {
            return Err(PortError::Unavailable("the connection was lost".into()));
        }
        Ok(stored.begin_within.map_or(TurnBegun::Begun, |tokens| TurnBegun::BegunWithin { tokens }))
    }

    async fn checkpoint(&self, checkpoints: Vec<Checkpoint>) -> Result<(), PortError> {
        let mut stored = self.0.lock().unwrap();
        if let Some(error) = stored.refuse_checkpoint.pop_front() {
            return Err(error);
        }
        let now = Instant::now();
        stored.checkpoints.extend(checkpoints.into_iter().map(|checkpoint| (now, checkpoint)));
        Ok(())
    }

    async fn finish_turn(&self, turn: FinishedTurn) -> Result<(), PortError> {
        let mut stored = self.0.lock().unwrap();
        if let Some(error) = stored.refuse_finish.pop_front() {
            return Err(error);
        }
        stored.finished.push(turn);
        Ok(())
    }

    async fn settle_turn(&self, turn: FinishedTurn, stored_to: u64) -> Result<bool, PortError> {
        let saved_to = {
            let stored = self.0.lock().unwrap();
            let saved = stored.checkpoints.iter().map(|(_, checkpoint)| checkpoint);
            let of_it = saved.filter(|saved| saved.generation == turn.ended.generation.id);
            of_it.flat_map(|saved| &saved.events).map(|event| event.seq).max().unwrap_or(0)
        };
        if saved_to > stored_to {
            return Ok(false);
        }
        self.finish_turn(turn).await.map(|()| true)
    }

    async fn renew_leases(
        &self,
        _: LeaseOwner,
        generations: Vec<GenerationId>,
        _: DateTime<Utc>,
    ) -> Result<(), PortError> {
        self.0.lock().unwrap().renewed.push(generations);
        Ok(())
    }

    async fn orphans(
        &self,
        _: LeaseOwner,
        _: DateTime<Utc>,
        _: u32,
    ) -> Result<Vec<Orphan>, PortError> {
        Ok(std::mem::take(&mut self.0.lock().unwrap().orphans))
    }

    async fn running(
        &self,
        _: UserId,
        _: ConversationId,
    ) -> Result<Option<GenerationId>, PortError> {
        Ok(None)
    }

    async fn running_of(&self, _: UserId) -> Result<Vec<Generation>, PortError> {
        Ok(Vec::new())
    }

    async fn request_cancel(
        &self,
        generation: GenerationId,
        _: DateTime<Utc>,
    ) -> Result<(), PortError> {
        self.0.lock().unwrap().cancel_requests.push(generation);
        Ok(())
    }

    async fn cancel_requests(&self, _: LeaseOwner) -> Result<Vec<GenerationId>, PortError> {
        Ok(self.0.lock().unwrap().cancel_requests.clone())
    }

    async fn orphan(&self, generation: GenerationId) -> Result<Option<Orphan>, PortError> {
        let mut stored = self.0.lock().unwrap();
        if let Some(error) = stored.refuse_orphan.pop_front() {
            return Err(error);
        }
        let turn = stored.begun.iter().find(|turn| turn.generation.id == generation);
        Ok(turn.map(|turn| Orphan {
            generation: turn.generation.clone(),
            reply: turn.reply.clone(),
            text: String::new(),
            last_seq: 0,
            reserved: stored.begin_within,
        }))
    }

    async fn forget_events(&self, _: DateTime<Utc>, _: u32) -> Result<u64, PortError> {
        Ok(0)
    }

    async fn find(
        &self,
        owner: UserId,
        generation: GenerationId,
    ) -> Result<Option<StoredGeneration>, PortError> {
        let stored = self.0.lock().unwrap();
        let begun = stored.begun.iter().map(|turn| &turn.generation);
        let found = begun
            .chain(stored.orphans.iter().map(|orphan| &orphan.generation))
            .chain(stored.finished.iter().map(|turn| &turn.ended.generation))
            .find(|found| found.owner == owner && found.id == generation);
        let elsewhere = stored.other_events.last().map(|(seq, _)| *seq);
        let end = stored.finished.iter().find(|turn| turn.ended.generation.id == generation);
        Ok(found.map(|found| StoredGeneration {
            generation: found.clone(),
            state: end.map_or(GenerationState::Streaming, |end| end.ended.outcome.state()),
            attempts: end.map_or(0, |end| end.ended.attempts),
            last_seq: elsewhere.or(end.map(|end| end.terminal.seq)),
            ended_at: None,
        }))
    }

    async fn events_after(
        &self,
        generation: GenerationId,
        after: u64,
    ) -> Result<Vec<LoggedEvent>, PortError> {
        let stored = self.0.lock().unwrap();
        if !stored.other_events.is_empty() {
            let events = stored.other_events.iter().filter(|(seq, _)| *seq > after);
            return Ok(events
                .map(|(seq, kind)| LoggedEvent::new(generation, *seq, *kind, Bytes::new()))
                .collect());
        }
        let ends = stored.finished.iter();
        let saved = stored.checkpoints.iter().flat_map(|(_, checkpoint)| &checkpoint.events);
        let unsaved = ends.clone().flat_map(|turn| &turn.unsaved).flat_map(|saved| &saved.events);
        let events = saved.chain(unsaved).chain(ends.map(|turn| &turn.terminal));
        Ok(events
            .filter(|event| event.generation == generation && event.seq > after)
            .map(|event| event.renumbered(event.seq))
            .collect())
    }

    async fn history(
        &self,
        _: UserId,
        _: ConversationId,
        from: HistoryFrom,
        limit: u32,
    ) -> Result<History, PortError> {
        let stored = self.0.lock().unwrap();
        let older = stored.history.iter().rev().filter(|m| match from {
            HistoryFrom::End => true,
            HistoryFrom::At(id) => m.id <= id,
            HistoryFrom::Before(id) => m.id < id,
        });
        let past =
            older.map(|m| PastMessage { id: m.id, role: m.role, content: m.content.clone() });
        let seen = stored.history.len() as u64;
        Ok(History { messages: past.take(limit as usize).collect(), seen })
    }
}

/// What was done under each key.
#[derive(Default)]
pub(crate) struct FakeKeys(pub(crate) Mutex<Vec<(String, UsedKey)>>);

#[async_trait]
impl IdempotencyKeys for FakeKeys {
    async fn find(
        &self,
        _: UserId,
        _: &'static str,
        key: &str,
        _: DateTime<Utc>,
    ) -> Result<Option<UsedKey>, PortError> {
        let keys = self.0.lock().unwrap();
        Ok(keys.iter().find(|(known, _)| known == key).map(|(_, used)| *used))
    }

    async fn forget(&self, _: DateTime<Utc>, _: u32) -> Result<u64, PortError> {
        Ok(0)
    }
}

/// The logs of replies, all of this process unless it is told otherwise.
#[derive(Default)]
pub(crate) struct FakeLog {
    entries: Mutex<HashMap<GenerationId, Entry>>,
    pub(crate) writes_elsewhere: AtomicBool,
    pub(crate) left_behind: Mutex<Vec<Arc<LoggedEvent>>>,
    /// So many events of each reply are not kept any more.
    pub(crate) forgotten: Arc<AtomicUsize>,
}

struct Entry {
    events: watch::Sender<Vec<Arc<LoggedEvent>>>,
    cancel: CancellationToken,
}

impl Default for Entry {
    fn default() -> Self {
        Self { events: watch::Sender::new(Vec::new()), cancel: CancellationToken::new() }
    }
}

#[async_trait]
impl GenerationLog for FakeLog {
    fn open(&self, generation: GenerationId) -> CancellationToken {
        self.entries.lock().unwrap().entry(generation).or_default().cancel.clone()
    }

    fn append(&self, event: Arc<LoggedEvent>) {
        let mut entries = self.entries.lock().unwrap();
        entries.entry(event.generation).or_default().events.send_modify(|events| {
            let next = events.len() as u64 + 1;
            assert!(event.seq == next || event.kind.is_terminal(), "out of turn");
            events.push(Arc::new(event.renumbered(next)));
        });
    }

    fn stored(&self, _: GenerationId, _: u64) {}

    async fn subscribe(
        &self,
        generation: GenerationId,
        after: u64,
    ) -> Result<Option<EventStream>, PortError> {
        let entries = self.entries.lock().unwrap();
        let Some(entry) = entries.get(&generation) else { return Ok(None) };
        let start = (entry.events.subscribe(), usize::try_from(after).unwrap(), false);
        let forgotten = Arc::clone(&self.forgotten);
        let follow = stream::unfold(start, move |(mut events, at, is_over)| {
            let is_gone = is_over || at < forgotten.load(Relaxed);
            async move {
                if is_gone {
                    return None;
                }
                let event = events.wait_for(|events| events.len() > at).await.ok()?[at].clone();
                let is_over = event.kind.is_terminal();
                Some((event, (events, at + 1, is_over)))
            }
        });
        Ok(Some(follow.boxed()))
    }

    fn cancel(&self, generation: GenerationId) -> bool {
        let entries = self.entries.lock().unwrap();
        let entry = entries.get(&generation).filter(|_| !self.writes_elsewhere.load(Relaxed));
        if let Some(entry) = entry {
            entry.cancel.cancel();
        }
        entry.is_some()
    }

    async fn left_behind(
        &self,
        _: GenerationId,
        after: u64,
    ) -> Result<Vec<Arc<LoggedEvent>>, PortError> {
        let left = self.left_behind.lock().unwrap();
        Ok(left.iter().filter(|event| event.seq > after).cloned().collect())
    }
}

struct TextEncoder;

impl EventEncoder for TextEncoder {
    fn encode(&self, event: &ReplyEvent<'_>) -> Bytes {
        let text = match event {
            ReplyEvent::Delta { text } => (*text).to_owned(),
            ReplyEvent::Queued { position } => position.to_string(),
            ReplyEvent::Ended { reply, .. } => reply.content.clone(),
            ReplyEvent::Started { .. } => String::new(),
        };
        text.into()
    }

    fn delta_text(&self, data: &[u8]) -> Option<String> {
        String::from_utf8(data.to_vec()).ok()
    }
}

struct TokioSpawner;

impl Spawner for TokioSpawner {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        #[expect(clippy::disallowed_methods, reason = "the test's runtime ends with the test")]
        tokio::spawn(task);
    }
}

/// The paused time of the test.
struct TestClock(Instant);

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        START + TimeDelta::from_std(self.0.elapsed()).unwrap()
    }
}

#[derive(Default)]
struct CountingIds(AtomicU64);

impl IdGenerator for CountingIds {
    fn id(&self) -> Uuid {
        Uuid::from_u128(1_000 + u128::from(self.0.fetch_add(1, Relaxed)))
    }

    fn random(&self) -> [u8; 32] {
        [u8::MAX / 2; 32]
    }
}

pub(crate) struct Fixture {
    pub(crate) service: ReplyService,
    pub(crate) model: Arc<ScriptedModel>,
    pub(crate) fallback: Arc<ScriptedModel>,
    pub(crate) turns: Arc<FakeTurns>,
    pub(crate) keys: Arc<FakeKeys>,
    pub(crate) log: Arc<FakeLog>,
}

impl Fixture {
    pub(crate) fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::shaped(Shape::default(), answers)
    }

    /// In a conversation that is shaped by something, where it is.
    pub(crate) fn shaped(shape: Shape, answers: impl IntoIterator<Item = Answer>) -> Self {
        let model = Arc::new(ScriptedModel::default());
        model.answers.lock().unwrap().extend(answers);
        let fallback = Arc::new(ScriptedModel::default());
        let turns = Arc::new(FakeTurns::default());
        let models = ModelCatalogue::Listed(vec![
            listed("main", model.clone(), &["spare"]),
            listed("spare", fallback.clone(), &[]),
        ]);
        let log = Arc::new(FakeLog::default());
        let keys = Arc::new(FakeKeys::default());
        let mut messages = MockMessageRepository::new();
        let named = turns.clone();
        messages.expect_find_in().returning(move |_, _, message| {
            let stored = named.0.lock().unwrap();
            Ok(stored.history.iter().find(|known| message == known.id.into()).cloned())
        });
        let asked = turns.clone();
        messages.expect_find().returning(move |_, id| {
            let stored = asked.0.lock().unwrap();
            let questions = stored.begun.iter().map(|turn| turn.question.message());
            Ok(questions.chain(&stored.history).find(|message| message.id == id).cloned())
        });
        let mut conversations = MockConversationRepository::new();
        conversations.expect_find().returning(move |owner, _| {
            let mut conversation = conversation(owner);
            conversation.subject.shape = shape;
            Ok(Some(conversation))
        });
        let mut shapes = MockShapeRepository::new();
        shapes.expect_prompts().returning(move |owner, asked| {
            assert_eq!((owner, asked), (ACTOR.user, shape));
            assert!(!asked.is_plain(), "what nothing shapes is not asked for");
            Ok(vec!["Be a pirate.".into(), "Keep to the plan.".into()])
        });
        let ports = ReplyPorts {
            conversations: Arc::new(conversations),
            messages: Arc::new(messages),
            shapes: Arc::new(shapes),
            turns: turns.clone(),
            keys: keys.clone(),
            log: log.clone(),
            encoder: Arc::new(TextEncoder),
            models: Arc::new(models),
            spawner: Arc::new(TokioSpawner),
            clock: Arc::new(TestClock(Instant::now())),
            ids: Arc::new(CountingIds::default()),
        };
        let rules = ReplyRules {
            operator_message: Some("Be kind.".into()),
            default_message: "You are helpful.".into(),
            most_per_user: 3,
            most_at_once: 2,
            monthly_token_budget: None,
            guests_kept: TimeDelta::days(1),
            replayable: Duration::from_mins(10),
        };
        Self { service: ReplyService::new(ports, rules), model, fallback, turns, keys, log }
    }

    /// Completions that share models and places with the replies.
    pub(crate) fn completions(
        &self,
        budgets: Arc<dyn BudgetLedger>,
        rules: CompletionRules,
    ) -> CompletionService {
        let ReplyPorts { models, spawner, clock, ids, .. } = &self.service.shared.ports;
        let ports = CompletionPorts {
            models: models.clone(),
            budgets,
            replies: self.service.clone(),
            spawner: spawner.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        };
        CompletionService::new(ports, rules)
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.service.shared.ports.clock.clone()
    }

    pub(crate) async fn send(&self, content: &str) -> Result<Begun, AppError> {
        let message = NewMessage { content: content.into(), ..NewMessage::default() };
        self.service.send(&ACTOR, CONVERSATION.into(), message, None).await
    }

    /// Sends a question and reads the reply to its end: each event's kind and text.
    pub(crate) async fn turn(&self) -> Vec<(EventKind, String)> {
        read(self.send("Why?").await.unwrap().events).await
    }

    /// A reply like the first, begun by a process that went away.
    pub(crate) fn left(&self, id: u128, text: &str, last_seq: u64) -> Orphan {
        let turn = self.turns.0.lock().unwrap().begun[0].clone();
        let generation =
            Generation { id: GenerationId::from_uuid(Uuid::from_u128(id)), ..turn.generation };
        Orphan { generation, reply: turn.reply, text: text.into(), last_seq, reserved: None }
    }

    /// The one reply that was stored.
    pub(crate) fn finished(&self) -> FinishedTurn {
        let stored = self.turns.0.lock().unwrap();
        assert_eq!(stored.finished.len(), 1, "a reply ends exactly once");
        stored.finished[0].clone()
    }
}

pub(crate) async fn read(events: EventStream) -> Vec<(EventKind, String)> {
    let text =
        |event: Arc<LoggedEvent>| (event.kind, String::from_utf8(event.data.to_vec()).unwrap());
    events.map(text).collect().await
}

fn listed(id: &str, provider: Arc<ScriptedModel>, fallbacks: &[&str]) -> Model {
    Model {
        id: id.into(),
        provider,
        upstream: id.into(),
        window: ContextWindow { context_tokens: 300, reply_tokens: 100 },
        max_output_tokens: Some(100),
        price: Price { input: 1_000, output: 2_000 },
        limits: TimeLimits {
            first_token: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            total: Duration::from_mins(10),
        },
        retry: RetryPolicy::default(),
        fallbacks: fallbacks.iter().map(|&id| id.to_owned()).collect(),
        writes_titles: true,
        breaker: Arc::default(),
    }
}

fn conversation(owner: UserId) -> Conversation {
    let code = "ABCDEFGHIJ01".parse().unwrap();
    let subject = Subject { system_message: Some("Talk of tea.".into()), ..Subject::default() };
    let conversation = Conversation::begin(CONVERSATION, code, owner, subject, START);
    Conversation { last_message_at: Some(START), ..conversation }
}

/// An earlier message; `number` orders it.
pub(crate) fn said(number: u64, role: MessageRole, content: &str) -> Message {
    Message::said(
        MessageId::from_uuid(Uuid::from_u128(number.into())),
        "AAAAAAAAAA".parse().unwrap(),
        CONVERSATION,
        None,
        role,
        Message::parse_content(content.into()).unwrap(),
        START,
    )
}
