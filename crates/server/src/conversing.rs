//! Conversations and their replies, put together.

use std::{sync::Arc, time::Duration};

use repartee_api::JsonEventEncoder;
use repartee_application::{
    completions::{CompletionPorts, CompletionRules, CompletionService},
    conversations::ConversationService,
    feeds::{FeedPorts, FeedService},
    messages::MessageService,
    models::ModelCatalogue,
    ports::{FeedLog, GenerationLog},
    replies::{ReplyPorts, ReplyRules, ReplyService},
    search::{Indexer, SearchService},
    titles::TitleService,
};
use repartee_infrastructure::persistence::{
    SeaBudgetLedger, SeaConversationRepository, SeaIdempotencyKeys, SeaMessageRepository,
    SeaSearchIndex, SeaShapeRepository, SeaTurnRepository,
};

use tokio_util::sync::CancellationToken;

use crate::{StartError, accounts::span, ground::Ground, settings::Settings};

/// How long a reply's events stay replayable after its end.
const REPLAYABLE: Duration = Duration::from_mins(10);
/// Short, for the model in the process does best with short answers.
const DEFAULT_SYSTEM_MESSAGE: &str =
    "You are a helpful AI assistant. Answer in short, clear sentences.";

pub(crate) struct Conversing {
    pub(crate) conversations: ConversationService,
    pub(crate) messages: MessageService,
    pub(crate) replies: ReplyService,
    pub(crate) completions: CompletionService,
    pub(crate) feeds: FeedService,
    pub(crate) search: SearchService,
}

/// Settles what an earlier process left, and indexes and entitles what is said until the server
/// stops.
pub(crate) async fn conversing(
    settings: &Settings,
    ground: &Ground,
    feed: &Arc<dyn FeedLog>,
    log: Arc<dyn GenerationLog>,
    models: Arc<ModelCatalogue>,
    stop: &CancellationToken,
) -> Result<Conversing, StartError> {
    let Ground { database, clock, ids, .. } = ground;
    let conversations = Arc::new(SeaConversationRepository::new(database.clone()));
    let messages = Arc::new(SeaMessageRepository::new(database.clone()));
    let turns = Arc::new(SeaTurnRepository::new(database.clone()));
    let keys = Arc::new(SeaIdempotencyKeys::new(database.clone()));
    let shapes = Arc::new(SeaShapeRepository::new(database.clone()));
    let ports = ReplyPorts {
        conversations: conversations.clone(),
        messages: messages.clone(),
        shapes: shapes.clone(),
        turns: turns.clone(),
        keys: keys.clone(),
        log,
        encoder: Arc::new(JsonEventEncoder),
        models: models.clone(),
        spawner: ground.spawner(),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    let replies = ReplyService::new(ports, reply_rules(settings));
    let settled = replies.settle().await?;
    if settled > 0 {
        tracing::warn!(settled, "replies that an earlier process left were settled");
    }
    replies.start_upkeep();
    let index = Arc::new(SeaSearchIndex::new(database.clone()));
    Indexer::new(index.clone()).start(&ground.spawner, stop.clone());
    let completions = CompletionPorts {
        models,
        budgets: Arc::new(SeaBudgetLedger::new(database.clone())),
        replies: replies.clone(),
        spawner: ground.spawner(),
        clock: clock.clone(),
        ids: ids.clone(),
    };
    let completions = CompletionService::new(completions, completion_rules(settings));
    if settings.replies.titles {
        TitleService::new(completions.clone(), conversations.clone(), clock.clone()).start(
            replies.untitled(),
            &ground.spawner,
            stop.clone(),
        );
    }
    Ok(Conversing {
        feeds: FeedService::new(FeedPorts {
            feed: feed.clone(),
            conversations: conversations.clone(),
            turns: turns.clone(),
            replies: replies.clone(),
        }),
        conversations: ConversationService::new(
            conversations.clone(),
            keys.clone(),
            turns.clone(),
            shapes,
            replies.clone(),
            clock.clone(),
            ids.clone(),
        ),
        completions,
        search: SearchService::new(conversations.clone(), index),
        messages: MessageService::new(
            conversations,
            messages,
            turns,
            keys,
            clock.clone(),
            ids.clone(),
        ),
        replies,
    })
}

fn completion_rules(settings: &Settings) -> CompletionRules {
    CompletionRules {
        most_per_user: settings.limits.concurrent_generations,
        monthly_token_budget: settings.limits.monthly_token_budget,
    }
}

fn reply_rules(settings: &Settings) -> ReplyRules {
    ReplyRules {
        operator_message: settings.replies.system_message.clone(),
        default_message: DEFAULT_SYSTEM_MESSAGE.to_owned(),
        most_per_user: settings.limits.concurrent_generations,
        most_at_once: settings.limits.total_generations,
        monthly_token_budget: settings.limits.monthly_token_budget,
        guests_kept: span(settings.retention.guests),
        replayable: REPLAYABLE,
    }
}
