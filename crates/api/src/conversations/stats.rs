//! What a conversation came to, on the wire.

use std::collections::BTreeMap;

use actix_web::web::{Data, Json, Path};
use chrono::{DateTime, Utc};
use repartee_application::{messages::MessageService, ports::ConversationStats};
use serde::Serialize;
use utoipa::ToSchema;

use super::reference;
use crate::{ApiError, auth::Caller, problem::Problem, time::rfc3339_option};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatsBody {
    /// By role.
    #[schema(example = json!({"user": 2, "assistant": 2}))]
    messages: BTreeMap<&'static str, u64>,
    tokens: TokensBody,
    /// Millionths of the price list's currency.
    #[schema(example = 1_250)]
    cost: i64,
    #[serde(serialize_with = "rfc3339_option")]
    first_activity: Option<DateTime<Utc>>,
    #[serde(serialize_with = "rfc3339_option")]
    last_activity: Option<DateTime<Utc>>,
    /// Null where nothing was replied yet.
    reply_ms: Option<ReplyMsBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct TokensBody {
    #[schema(example = 180)]
    prompt: u64,
    #[schema(example = 64)]
    completion: u64,
    #[schema(example = 244)]
    total: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct ReplyMsBody {
    #[schema(example = 900)]
    mean: u64,
    /// 95 of 100 took no longer.
    #[schema(example = 1_400)]
    p95: u64,
}

impl From<ConversationStats> for StatsBody {
    fn from(stats: ConversationStats) -> Self {
        let roles = stats.messages.into_iter().map(|(role, count)| (role.as_str(), count));
        Self {
            messages: roles.collect(),
            tokens: TokensBody {
                prompt: stats.prompt_tokens,
                completion: stats.completion_tokens,
                total: stats.prompt_tokens.saturating_add(stats.completion_tokens),
            },
            cost: stats.cost,
            first_activity: stats.first_activity_at,
            last_activity: stats.last_activity_at,
            reply_ms: stats.reply_ms.map(|ms| ReplyMsBody { mean: ms.mean, p95: ms.p95 }),
        }
    }
}

/// What a conversation came to: messages, tokens, cost, and how long replies took.
#[utoipa::path(
    get, path = "/api/v1/conversations/{conversation_id}/stats", tag = "conversations",
    params(("conversation_id" = String, Path, description = "Its id or code")),
    responses(
        (status = 200, body = StatsBody),
        (status = 401, description = "`unauthenticated`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`conversation_not_found`", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn stats(
    Caller(actor): Caller,
    id: Path<String>,
    messages: Data<MessageService>,
) -> Result<Json<StatsBody>, ApiError> {
    Ok(Json(messages.stats(&actor, reference(&id)?).await?.into()))
}
