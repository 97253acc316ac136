//! The events of replies, stored while they are being written.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use repartee_application::ports::{Checkpoint, EventKind, LoggedEvent, PortError};
use repartee_domain::{GenerationId, replies::GenerationState};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, InsertMany, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, UpdateMany,
    sea_query::{Expr, LockBehavior, LockType, OnConflict, Query},
};
use uuid::Uuid;

use super::encoding::{decode, encode};
use crate::persistence::{
    Database, Transaction,
    entity::{
        checkpoint::{ActiveModel, Column, Entity, Model},
        generation,
    },
    error::database,
    stored::{corrupt, number, parsed},
};

/// Rows in one statement: SQLite binds at most 32,766 values.
const ROWS: usize = 1_000;
/// Checkpoints that are read at a time: about a second of a reply.
const PAGE: u64 = 4;

/// A generation's last number, and its terminal event's kind and data.
type End = (Option<i64>, Option<String>, Option<Vec<u8>>);

pub(super) fn row(checkpoint: Checkpoint) -> Result<Model, PortError> {
    let seq = |event: Option<&std::sync::Arc<LoggedEvent>>| match event {
        Some(event) => i64::try_from(event.seq).map_err(corrupt),
        None => Err(corrupt("a checkpoint without events")),
    };
    Ok(Model {
        generation_id: checkpoint.generation.as_uuid(),
        first_seq: seq(checkpoint.events.first())?,
        last_seq: seq(checkpoint.events.last())?,
        events: encode(checkpoint.events.iter().map(AsRef::as_ref))?,
        text: checkpoint.text,
    })
}

pub(super) async fn store(db: &Database, checkpoints: Vec<Checkpoint>) -> Result<(), PortError> {
    let begun: Vec<Uuid> = checkpoints
        .iter()
        .filter(|checkpoint| checkpoint.events.iter().any(|event| event.kind == EventKind::Delta))
        .map(|checkpoint| checkpoint.generation.as_uuid())
        .collect();
    let rows = checkpoints.into_iter().map(row).collect::<Result<Vec<_>, _>>()?;
    db.write(move |tx| {
        Box::pin(async move {
            let backend = tx.get_database_backend();
            for rows in rows.chunks(ROWS) {
                let states = running(tx, rows).await?;
                if states.is_empty() {
                    continue;
                }
                let rows = rows.iter().filter(|row| states.contains_key(&row.generation_id));
                let mut statements = vec![insertion(rows.cloned()).build(backend)];
                let queued = |id: &Uuid| states.get(id) == Some(&GenerationState::Queued);
                let begun: Vec<Uuid> = begun.iter().copied().filter(queued).collect();
                if !begun.is_empty() {
                    statements.push(streaming(begun).build(backend));
                }
                tx.execute_all(statements).await.map_err(database)?;
            }
            Ok(())
        })
    })
    .await
}

/// Stores checkpoints of replies that are running or end in this transaction. One that is stored
/// a second time, because its writer could not know that it was stored, replaces the first.
pub(super) fn insertion(rows: impl IntoIterator<Item = Model>) -> InsertMany<ActiveModel> {
    let again = OnConflict::columns([Column::GenerationId, Column::FirstSeq])
        .update_columns([Column::LastSeq, Column::Events, Column::Text])
        .to_owned();
    Entity::insert_many(rows.into_iter().map(IntoActiveModel::into_active_model)).on_conflict(again)
}

/// Which of the generations are not over. On PostgreSQL none of them ends before this transaction
/// does; whoever locks several does it in the order of their conversations.
async fn running(
    tx: &Transaction,
    rows: &[Model],
) -> Result<HashMap<Uuid, GenerationState>, PortError> {
    let states: Vec<(Uuid, String)> = generation::Entity::find()
        .select_only()
        .columns([generation::Column::Id, generation::Column::State])
        .filter(generation::Column::Id.is_in(rows.iter().map(|row| row.generation_id)))
        .filter(generation::Column::EndedAt.is_null())
        .order_by_asc(generation::Column::ConversationId)
        .lock_exclusive()
        .into_tuple()
        .all(tx)
        .await
        .map_err(database)?;
    states.into_iter().map(|(id, state)| Ok((id, parsed(&state)?))).collect()
}

fn streaming(generations: Vec<Uuid>) -> UpdateMany<generation::Entity> {
    generation::Entity::update_many()
        .col_expr(generation::Column::State, Expr::value(GenerationState::Streaming.as_str()))
        .filter(generation::Column::Id.is_in(generations))
}

pub(super) async fn events_after(
    db: &Database,
    generation: GenerationId,
    after: u64,
) -> Result<Vec<LoggedEvent>, PortError> {
    // The generation first: where it is over by then, its checkpoints are complete.
    let last_seq: Option<Option<i64>> = generation::Entity::find()
        .select_only()
        .column(generation::Column::LastSeq)
        .filter(generation::Column::Id.eq(generation.as_uuid()))
        .into_tuple()
        .one(db.reader())
        .await
        .map_err(database)?;
    let Some(last_seq) = last_seq else { return Ok(Vec::new()) };
    // A number beyond what is stored has nothing after it.
    let Ok(stored_after) = i64::try_from(after) else { return Ok(Vec::new()) };
    let checkpoints = Entity::find()
        .filter(Column::GenerationId.eq(generation.as_uuid()))
        .filter(Column::LastSeq.gt(stored_after))
        .order_by_asc(Column::FirstSeq)
        .limit(PAGE)
        .all(db.reader())
        .await
        .map_err(database)?;
    let is_all = (checkpoints.len() as u64) < PAGE;
    let mut events = Vec::new();
    for row in checkpoints {
        events.extend(decode(
            generation,
            number(row.first_seq)?,
            number(row.last_seq)?,
            row.events,
        )?);
    }
    events.retain(|event| event.seq > after);
    if is_all && last_seq.is_some_and(|last| last > stored_after) {
        events.extend(end_of(db, generation).await?);
    }
    Ok(events)
}

async fn end_of(db: &Database, generation: GenerationId) -> Result<Option<LoggedEvent>, PortError> {
    let end: Option<End> = generation::Entity::find()
        .select_only()
        .columns([
            generation::Column::LastSeq,
            generation::Column::TerminalKind,
            generation::Column::TerminalEvent,
        ])
        .filter(generation::Column::Id.eq(generation.as_uuid()))
        .into_tuple()
        .one(db.reader())
        .await
        .map_err(database)?;
    // Without one it was deleted meanwhile.
    end.map_or(Ok(None), |end| terminal(generation, end))
}

pub(super) fn terminal(
    generation: GenerationId,
    end: End,
) -> Result<Option<LoggedEvent>, PortError> {
    match end {
        (None, None, None) => Ok(None),
        (Some(seq), Some(kind), Some(data)) => {
            let kind = EventKind::from_name(&kind)
                .ok_or_else(|| corrupt("a terminal event of an unknown kind"))?;
            Ok(Some(LoggedEvent::new(generation, number(seq)?, kind, data.into())))
        }
        _ => Err(corrupt("part of the terminal event is missing")),
    }
}

pub(super) async fn forget(
    db: &Database,
    ended_before: DateTime<Utc>,
    limit: u32,
) -> Result<u64, PortError> {
    let with_checkpoints = Query::select().column(Column::GenerationId).from(Entity).take();
    let over = generation::Entity::find()
        .select_only()
        .column(generation::Column::Id)
        .filter(generation::Column::EndedAt.lt(ended_before))
        .filter(generation::Column::Id.in_subquery(with_checkpoints))
        .limit(u64::from(limit))
        // Who deletes one of them locks it first, and its checkpoints then.
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .into_tuple::<Uuid>();
    db.write(move |tx| {
        Box::pin(async move {
            let over = over.all(tx).await.map_err(database)?;
            let count = over.len() as u64;
            Entity::delete_many()
                .filter(Column::GenerationId.is_in(over))
                .exec(tx)
                .await
                .map_err(database)?;
            Ok(count)
        })
    })
    .await
}
