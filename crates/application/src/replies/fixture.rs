//! What the reply tests share: fakes that remember, and models that play a script.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
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
    conversations::{Conversation, Subject},
    messages::{Message, MessageRole},
    replies::{ContextWindow, FinishReason, GenerationState, Price, RetryPolicy},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Begun, NewMessage, ReplyPorts, ReplyRules, ReplyService};
use crate::{
    Actor, AppError,
    models::{Model, ModelCatalogue, TimeLimits},
    ports::{
        ChatChunk, ChatModel, ChatRequest, ChatStream, Checkpoint, Clock, EventEncoder, EventKind,
        EventStream, FinishedTurn, GenerationLog, IdGenerator, LeaseOwner, LoggedEvent,
        MockConversationRepository, ModelError, ModelStatus, NewTurn, Orphan, PastMessage,
        PortError, ReplyEvent, Spawner, StoredGeneration, TurnBegun, TurnRepository,
    },
};

pub(super) const ACTOR: Actor = Actor {
    user: UserId::from_uuid(Uuid::from_u128(1)),
    role: Role::User,
    session: LoginSessionId::from_uuid(Uuid::from_u128(2)),
};
pub(super) const CONVERSATION: ConversationId = ConversationId::from_uuid(Uuid::from_u128(3));
pub(super) const START: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);

/// A step of a model's answer.
#[derive(Clone)]
pub(super) enum Step {
    Text(&'static str),
    Usage(u32, u32),
    Finish(FinishReason),
    Wait(Duration),
    Queued(u32),
    Break,
    Hang,
    Panic,
}

pub(super) type Answer = Result<Vec<Step>, ModelError>;

pub(super) fn unavailable() -> Answer {
    Err(ModelError::Unavailable { retry_after: None, source: "no route".into() })
}

/// Answers one call after the other, and remembers what it was asked.
#[derive(Default)]
pub(super) struct ScriptedModel {
    pub(super) answers: Mutex<VecDeque<Answer>>,
    pub(super) asked: Mutex<Vec<ChatRequest>>,
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
pub(super) struct Stored {
    pub(super) begun: Vec<NewTurn>,
    pub(super) checkpoints: Vec<(Instant, Checkpoint)>,
    pub(super) finished: Vec<FinishedTurn>,
    /// Errors that the next calls of `finish_turn` end in.
    pub(super) refuse_finish: VecDeque<PortError>,
    pub(super) refuse_checkpoint: VecDeque<PortError>,
    pub(super) refuse_begin: Option<TurnBegun>,
    /// The beginning is stored, and its caller cannot know.
    pub(super) begin_in_doubt: bool,
    pub(super) history: Vec<Message>,
    pub(super) orphans: Vec<Orphan>,
    /// What somebody else stored.
    pub(super) other_events: Vec<(u64, EventKind)>,
}

#[derive(Default)]
pub(super) struct FakeTurns(pub(super) Mutex<Stored>);

#[async_trait]
impl TurnRepository for FakeTurns {
    async fn begin_turn(&self, turn: NewTurn) -> Result<TurnBegun, PortError> {
        let mut stored = self.0.lock().unwrap();
        if let Some(refusal) = stored.refuse_begin {
            return Ok(refusal);
        }
        stored.begun.push(turn);
        if stored.begin_in_doubt {
            return Err(PortError::Unavailable("the connection was lost".into()));
        }
        Ok(TurnBegun::Begun)
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

    async fn renew_leases(&self, _: LeaseOwner, _: DateTime<Utc>) -> Result<(), PortError> {
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

    async fn orphan(&self, generation: GenerationId) -> Result<Option<Orphan>, PortError> {
        let stored = self.0.lock().unwrap();
        let turn = stored.begun.iter().find(|turn| turn.generation.id == generation);
        Ok(turn.map(|turn| Orphan {
            generation: turn.generation.clone(),
            reply: turn.reply.clone(),
            text: String::new(),
            last_seq: 0,
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
            .find(|found| found.owner == owner && found.id == generation);
        let end = stored.finished.iter().find(|turn| turn.ended.generation.id == generation);
        Ok(found.map(|found| StoredGeneration {
            generation: found.clone(),
            state: end.map_or(GenerationState::Streaming, |end| end.ended.outcome.state()),
            attempts: end.map_or(0, |end| end.ended.attempts),
            last_seq: end.map(|end| end.terminal.seq),
            ended_at: None,
        }))
    }

    async fn events_after(
        &self,
        generation: GenerationId,
        after: u64,
    ) -> Result<Vec<LoggedEvent>, PortError> {
        let stored = self.0.lock().unwrap();
        let events = stored.other_events.iter().filter(|(seq, _)| *seq > after);
        Ok(events
            .map(|(seq, kind)| LoggedEvent::new(generation, *seq, *kind, Bytes::new()))
            .collect())
    }

    async fn history(
        &self,
        _: UserId,
        _: ConversationId,
        before: Option<MessageId>,
        limit: u32,
    ) -> Result<Vec<PastMessage>, PortError> {
        let stored = self.0.lock().unwrap();
        let older = stored.history.iter().rev().filter(|m| before.is_none_or(|b| m.id < b));
        let past =
            older.map(|m| PastMessage { id: m.id, role: m.role, content: m.content.clone() });
        Ok(past.take(limit as usize).collect())
    }
}

/// One reply's log.
struct FakeLog {
    events: watch::Sender<Vec<Arc<LoggedEvent>>>,
    cancel: CancellationToken,
}

impl Default for FakeLog {
    fn default() -> Self {
        Self { events: watch::Sender::new(Vec::new()), cancel: CancellationToken::new() }
    }
}

#[async_trait]
impl GenerationLog for FakeLog {
    fn open(&self, _: GenerationId) -> CancellationToken {
        self.cancel.clone()
    }

    fn append(&self, event: Arc<LoggedEvent>) {
        self.events.send_modify(|events| {
            let next = events.len() as u64 + 1;
            assert!(event.seq == next || event.kind.is_terminal(), "out of turn");
            events.push(Arc::new(event.renumbered(next)));
        });
    }

    async fn subscribe(
        &self,
        _: GenerationId,
        after: u64,
    ) -> Result<Option<EventStream>, PortError> {
        let events = self.events.subscribe();
        let start = (events, usize::try_from(after).unwrap(), false);
        let follow = stream::unfold(start, |(mut events, at, is_over)| async move {
            if is_over {
                return None;
            }
            let event = events.wait_for(|events| events.len() > at).await.ok()?[at].clone();
            let is_over = event.kind.is_terminal();
            Some((event, (events, at + 1, is_over)))
        });
        Ok(Some(follow.boxed()))
    }

    async fn cancel(&self, _: GenerationId) -> Result<bool, PortError> {
        self.cancel.cancel();
        Ok(true)
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

pub(super) struct Fixture {
    pub(super) service: ReplyService,
    pub(super) model: Arc<ScriptedModel>,
    pub(super) fallback: Arc<ScriptedModel>,
    pub(super) turns: Arc<FakeTurns>,
}

impl Fixture {
    pub(super) fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let model = Arc::new(ScriptedModel::default());
        model.answers.lock().unwrap().extend(answers);
        let fallback = Arc::new(ScriptedModel::default());
        let turns = Arc::new(FakeTurns::default());
        let models = ModelCatalogue::Listed(vec![
            listed("main", model.clone(), &["spare"]),
            listed("spare", fallback.clone(), &[]),
        ]);
        let mut conversations = MockConversationRepository::new();
        conversations.expect_find().returning(|owner, _| Ok(Some(conversation(owner))));
        let ports = ReplyPorts {
            conversations: Arc::new(conversations),
            turns: turns.clone(),
            log: Arc::new(FakeLog::default()),
            encoder: Arc::new(TextEncoder),
            models: Arc::new(models),
            spawner: Arc::new(TokioSpawner),
            clock: Arc::new(TestClock(Instant::now())),
            ids: Arc::new(CountingIds::default()),
        };
        let rules = ReplyRules {
            operator_message: Some("Be kind.".into()),
            default_message: "You are helpful.".into(),
            replayable: Duration::from_mins(10),
        };
        Self { service: ReplyService::new(ports, rules), model, fallback, turns }
    }

    pub(super) async fn send(&self, content: &str) -> Result<Begun, AppError> {
        let message = NewMessage { content: content.into(), ..NewMessage::default() };
        self.service.send(&ACTOR, CONVERSATION.into(), message).await
    }

    /// Sends a question and reads the reply to its end: each event's kind and text.
    pub(super) async fn turn(&self) -> Vec<(EventKind, String)> {
        read(self.send("Why?").await.unwrap().events).await
    }

    /// The one reply that was stored.
    pub(super) fn finished(&self) -> FinishedTurn {
        let stored = self.turns.0.lock().unwrap();
        assert_eq!(stored.finished.len(), 1, "a reply ends exactly once");
        stored.finished[0].clone()
    }
}

pub(super) async fn read(events: EventStream) -> Vec<(EventKind, String)> {
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
    }
}

fn conversation(owner: UserId) -> Conversation {
    let code = "ABCDEFGHIJ01".parse().unwrap();
    let subject = Subject { system_message: Some("Talk of tea.".into()), ..Subject::default() };
    let conversation = Conversation::begin(CONVERSATION, code, owner, subject, START);
    Conversation { last_message_at: Some(START), ..conversation }
}

/// An earlier message; `number` orders it.
pub(super) fn said(number: u64, role: MessageRole, content: &str) -> Message {
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
