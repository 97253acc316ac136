//! Which process writes a reply, and what becomes of it when the process is gone.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use repartee_application::ports::{LeaseOwner, Orphan, PortError};
use repartee_domain::{GenerationId, messages::Message};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::Expr,
};
use uuid::Uuid;

use crate::persistence::{
    Database,
    entity::{
        checkpoint,
        generation::{Column, Entity, Model},
        message,
    },
    error::database,
    stored::number,
};

/// Replies in one statement: SQLite binds at most 32,766 values.
const ROWS: usize = 1_000;

pub(super) async fn renew(
    db: &Database,
    owner: LeaseOwner,
    generations: Vec<GenerationId>,
    until: DateTime<Utc>,
) -> Result<(), PortError> {
    for some in generations.chunks(ROWS) {
        // Locked in the order in which everybody locks them, which is that of the index of running
        // replies: two writers never wait for each other, and no query reads those that are over.
        let held = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Id.is_in(some.iter().map(|id| id.as_uuid())))
            .filter(Column::LeaseOwner.eq(owner.0))
            .filter(Column::EndedAt.is_null())
            .order_by_asc(Column::ConversationId)
            .lock_exclusive()
            .into_query();
        let renew = Entity::update_many()
            .col_expr(Column::LeaseUntil, Expr::value(until))
            .filter(Column::Id.in_subquery(held));
        db.write(move |tx| {
            Box::pin(async move { renew.exec(tx).await.map(drop).map_err(database) })
        })
        .await?;
    }
    Ok(())
}

pub(super) async fn orphans(
    db: &Database,
    living: LeaseOwner,
    now: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<Orphan>, PortError> {
    let mut is_orphan = Condition::any().add(Column::LeaseUntil.lt(now));
    if db.is_single_process() {
        is_orphan = is_orphan.add(Column::LeaseOwner.ne(living.0));
    }
    let rows = Entity::find()
        .filter(Column::EndedAt.is_null())
        .filter(is_orphan)
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .limit(u64::from(limit));
    as_orphans(db, rows.all(db.reader()).await.map_err(database)?).await
}

pub(super) async fn orphan(
    db: &Database,
    generation: GenerationId,
) -> Result<Option<Orphan>, PortError> {
    let row = Entity::find_by_id(generation.as_uuid())
        .filter(Column::EndedAt.is_null())
        .one(db.reader())
        .await
        .map_err(database)?;
    Ok(as_orphans(db, row.into_iter().collect()).await?.pop())
}

async fn as_orphans(db: &Database, rows: Vec<Model>) -> Result<Vec<Orphan>, PortError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut replies = replies(db, rows.iter().map(|row| row.message_id)).await?;
    let mut written = written(db, rows.iter().map(|row| row.id)).await?;
    let orphans = rows.into_iter().filter_map(|row| {
        // Without a reply the conversation was deleted meanwhile.
        let reply = replies.remove(&row.message_id)?;
        let Written { text, last_seq } = written.remove(&row.id).unwrap_or_default();
        let reserved = row.reserved_tokens.and_then(|tokens| tokens.try_into().ok());
        Some(Orphan { generation: row.into(), reply, text, last_seq, reserved })
    });
    Ok(orphans.collect())
}

async fn replies(
    db: &Database,
    ids: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, Message>, PortError> {
    let rows = message::Entity::find()
        .filter(message::Column::Id.is_in(ids))
        .all(db.reader())
        .await
        .map_err(database)?;
    Ok(rows.into_iter().filter_map(readable).collect())
}

/// One that cannot be read, perhaps of a later version, keeps no other from being settled.
fn readable(row: message::Model) -> Option<(Uuid, Message)> {
    let id = row.id;
    match Message::try_from(row) {
        Ok(message) => Some((id, message)),
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::error!(message = %id, error, "a reply that was left cannot be read");
            None
        }
    }
}

/// What the checkpoints of a reply say.
#[derive(Default)]
struct Written {
    text: String,
    last_seq: u64,
}

async fn written(
    db: &Database,
    generations: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, Written>, PortError> {
    let checkpoints: Vec<(Uuid, i64, String)> = checkpoint::Entity::find()
        .select_only()
        .columns([
            checkpoint::Column::GenerationId,
            checkpoint::Column::LastSeq,
            checkpoint::Column::Text,
        ])
        .filter(checkpoint::Column::GenerationId.is_in(generations))
        .order_by_asc(checkpoint::Column::GenerationId)
        .order_by_asc(checkpoint::Column::FirstSeq)
        .into_tuple()
        .all(db.reader())
        .await
        .map_err(database)?;
    let mut written: HashMap<Uuid, Written> = HashMap::new();
    for (generation, last_seq, text) in checkpoints {
        let reply = written.entry(generation).or_default();
        reply.text.push_str(&text);
        reply.last_seq = number(last_seq)?;
    }
    Ok(written)
}
