//! A process that serves, and may die at any moment.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use repartee_application::{
    conversations::ConversationService,
    feeds::{FeedPorts, FeedService},
    models::{Breaker, Model, ModelCatalogue, TimeLimits},
    ports::{EventEncoder, PortError, ReplyEvent, ShapeRepository, Spawner},
    replies::{ReplyPorts, ReplyRules, ReplyService},
};
use repartee_domain::{
    UserId,
    conversations::Shape,
    replies::{ContextWindow, Price, RetryPolicy},
};
use tokio::task::JoinSet;

use super::{
    Random,
    log::{Hub, SimulatedLog},
    model::SeededModel,
    world::World,
};

#[derive(Clone)]
pub(crate) struct Replica {
    pub(crate) replies: ReplyService,
    pub(crate) feeds: FeedService,
    pub(crate) conversations: Arc<ConversationService>,
    tasks: Arc<Tasks>,
}

/// What a crash ends at once.
#[derive(Default)]
struct Tasks(Mutex<JoinSet<()>>);

impl Spawner for Tasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.lock().unwrap().spawn(task);
    }
}

impl Replica {
    pub(crate) fn start(world: &Arc<World>, hub: Option<Arc<Hub>>, random: Random) -> Self {
        let tasks = Arc::new(Tasks::default());
        let model = Model {
            id: "seeded".into(),
            provider: Arc::new(SeededModel { random: Mutex::new(random), world: world.clone() }),
            upstream: "seeded".into(),
            window: ContextWindow { context_tokens: 1_000, reply_tokens: 100 },
            max_output_tokens: None,
            price: Price::default(),
            // Short, so that little time has to pass for everything to be over.
            limits: TimeLimits {
                first_token: Duration::from_secs(3),
                idle: Duration::from_secs(3),
                total: Duration::from_secs(20),
            },
            retry: RetryPolicy { attempts: 2, ..RetryPolicy::default() },
            fallbacks: Vec::new(),
            writes_titles: true,
            breaker: Arc::new(Breaker::default()),
        };
        let shapes = Arc::new(Unshaped);
        let ports = ReplyPorts {
            conversations: world.clone(),
            messages: world.clone(),
            shapes: shapes.clone(),
            turns: world.clone(),
            keys: world.clone(),
            log: Arc::new(SimulatedLog::new(hub, world.pace.clone())),
            encoder: Arc::new(TextEncoder),
            models: Arc::new(ModelCatalogue::Listed(vec![model])),
            spawner: tasks.clone(),
            clock: world.clone(),
            ids: world.clone(),
        };
        let rules = ReplyRules {
            operator_message: None,
            default_message: "You are helpful.".into(),
            most_per_user: 2,
            most_at_once: 2,
            guests_kept: chrono::TimeDelta::days(1),
            monthly_token_budget: None,
            replayable: Duration::from_mins(10),
        };
        let replies = ReplyService::new(ports, rules);
        replies.start_upkeep();
        let feeds = FeedService::new(FeedPorts {
            feed: world.clone(),
            conversations: world.clone(),
            turns: world.clone(),
            replies: replies.clone(),
        });
        let conversations = ConversationService::new(
            world.clone(),
            world.clone(),
            world.clone(),
            shapes,
            replies.clone(),
            world.clone(),
            world.clone(),
        );
        Self { replies, feeds, conversations: Arc::new(conversations), tasks }
    }

    /// As kill -9 does it.
    pub(crate) fn crash(&self) {
        self.tasks.0.lock().unwrap().abort_all();
    }
}

/// Where there is nothing to shape a conversation.
struct Unshaped;

#[async_trait]
impl ShapeRepository for Unshaped {
    async fn choosable(&self, _: UserId, _: Shape) -> Result<Shape, PortError> {
        Ok(Shape::default())
    }

    async fn prompts(&self, _: UserId, _: Shape) -> Result<Vec<String>, PortError> {
        Ok(Vec::new())
    }
}

/// `outcome|text` for an end, the text of a delta.
struct TextEncoder;

impl EventEncoder for TextEncoder {
    fn encode(&self, event: &ReplyEvent<'_>) -> Bytes {
        match event {
            ReplyEvent::Started { generation } => generation.id.to_string().into(),
            ReplyEvent::Queued { position } => position.to_string().into(),
            ReplyEvent::Delta { text } => (*text).to_owned().into(),
            ReplyEvent::Ended { outcome, reply, .. } => {
                format!("{}|{}", outcome.state().as_str(), reply.content).into()
            }
        }
    }

    fn delta_text(&self, data: &[u8]) -> Option<String> {
        String::from_utf8(data.to_vec()).ok()
    }
}
