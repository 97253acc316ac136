//! What a conversation came to.

use chrono::{DateTime, Utc};
use repartee_application::ports::{
    ConversationReference, ConversationStats, PortError, ReplyTimes,
};
use repartee_domain::UserId;
use sea_orm::{
    ColumnTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Alias, Expr, SimpleExpr},
};

use super::{
    super::{
        Database,
        conversations::referred_to_by,
        entity::message::Column,
        error::database,
        stored::{corrupt, parsed},
    },
    owned_by,
};

/// Of one role.
type Sums = (
    String,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<DateTime<Utc>>,
    Option<DateTime<Utc>>,
    Option<i64>,
    i64,
);

/// `None` where the conversation has no messages, or isn't there.
pub(super) async fn stats(
    db: &Database,
    owner: UserId,
    conversation: ConversationReference,
) -> Result<Option<ConversationStats>, PortError> {
    let rows: Vec<Sums> = owned_by(owner)
        .filter(referred_to_by(conversation))
        .select_only()
        .column(Column::Role)
        .column_as(Column::Id.count(), "messages")
        .column_as(sum(Column::PromptTokens), "prompt")
        .column_as(sum(Column::CompletionTokens), "completion")
        .column_as(sum(Column::Cost), "cost")
        .column_as(Column::CreatedAt.min(), "first")
        .column_as(Column::CreatedAt.max(), "last")
        .column_as(sum(Column::LatencyMs), "latency")
        .column_as(Column::LatencyMs.count(), "replies")
        .group_by(Column::Role)
        .into_tuple()
        .all(db.reader())
        .await
        .map_err(database)?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut stats = ConversationStats::default();
    let (mut took, mut replies) = (0, 0);
    for (role, messages, prompt, completion, cost, first, last, latency, timed) in rows {
        stats.messages.insert(parsed(&role)?, count(messages)?);
        stats.prompt_tokens += count(prompt.unwrap_or(0))?;
        stats.completion_tokens += count(completion.unwrap_or(0))?;
        stats.cost += cost.unwrap_or(0);
        stats.first_activity_at = [stats.first_activity_at, first].into_iter().flatten().min();
        stats.last_activity_at = [stats.last_activity_at, last].into_iter().flatten().max();
        took += count(latency.unwrap_or(0))?;
        replies += count(timed)?;
    }
    if let Some(mean) = took.checked_div(replies) {
        let p95 = slowest_of(db, owner, conversation, replies).await?;
        stats.reply_ms = Some(ReplyTimes { mean, p95: p95.unwrap_or(mean) });
    }
    Ok(Some(stats))
}

/// The 95th percentile by nearest rank. `None` where the replies went away meanwhile.
async fn slowest_of(
    db: &Database,
    owner: UserId,
    conversation: ConversationReference,
    replies: u64,
) -> Result<Option<u64>, PortError> {
    let rank = (replies * 95).div_ceil(100);
    let latency: Option<Option<i64>> = owned_by(owner)
        .filter(referred_to_by(conversation))
        .filter(Column::LatencyMs.is_not_null())
        .select_only()
        .column(Column::LatencyMs)
        .order_by_asc(Column::LatencyMs)
        .offset(rank.saturating_sub(1))
        .limit(1)
        .into_tuple()
        .one(db.reader())
        .await
        .map_err(database)?;
    latency.flatten().map(count).transpose()
}

/// PostgreSQL makes a sum of integers a decimal.
fn sum(column: Column) -> SimpleExpr {
    Expr::col(column.as_column_ref()).sum().cast_as(Alias::new("bigint"))
}

fn count(number: i64) -> Result<u64, PortError> {
    u64::try_from(number).map_err(|_| corrupt("a count is negative"))
}
