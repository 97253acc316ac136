//! A turn ends, once.

use repartee_application::ports::{ChangeKind, FinishedTurn, PortError, Watched};
use repartee_domain::{
    GenerationId,
    messages::Message,
    replies::{Ended, Outcome},
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, EntityTrait, ExprTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryTrait,
    Select, UpdateMany,
    sea_query::Expr,
};

use super::{budget, checkpoints};
use crate::persistence::{
    Database,
    entity::{
        checkpoint,
        generation::{ActiveModel, Column, Entity},
        message,
    },
    error::{database, is_dangling},
    feeds::{Told, telling},
    stored::corrupt,
};

pub(super) async fn finish_turn(db: &Database, turn: FinishedTurn) -> Result<(), PortError> {
    end(db, turn, None).await.map(drop)
}

pub(super) async fn settle_turn(
    db: &Database,
    turn: FinishedTurn,
    stored_to: u64,
) -> Result<bool, PortError> {
    let generation = turn.ended.generation.id.as_uuid();
    match end(db, turn, Some(stored_to)).await {
        Ok(()) => Ok(true),
        Err(PortError::Stale) => {
            let running = Entity::find_by_id(generation).filter(Column::EndedAt.is_null());
            match running.count(db.reader()).await.map_err(database)? {
                0 => Err(PortError::Stale),
                _ => Ok(false),
            }
        }
        Err(error) => Err(error),
    }
}

/// With `stored_to`, unless more was checkpointed.
async fn end(db: &Database, turn: FinishedTurn, stored_to: Option<u64>) -> Result<(), PortError> {
    let FinishedTurn { ended, unsaved, terminal } = turn;
    let Ended { generation, reply, outcome, attempts } = ended;
    let failure = match outcome {
        Outcome::Failed(failure) => Some(failure.code().to_owned()),
        Outcome::Completed(_) | Outcome::Cancelled | Outcome::Interrupted => None,
    };
    let end = Entity::update_many()
        .set(ActiveModel {
            state: Set(outcome.state().as_str().to_owned()),
            model: reply.writing.as_ref().map_or(NotSet, |writing| Set(writing.model.clone())),
            attempts: Set(attempts.into()),
            failure: Set(failure),
            last_seq: Set(Some(i64::try_from(terminal.seq).map_err(corrupt)?)),
            terminal_kind: Set(Some(terminal.kind.as_str().to_owned())),
            terminal_event: Set(Some(terminal.data.to_vec())),
            ended_at: Set(Some(reply.updated_at)),
            ..ActiveModel::default()
        })
        .filter(Column::Id.eq(generation.id.as_uuid()))
        .filter(Column::EndedAt.is_null());
    let (owner, now) = (generation.owner, reply.updated_at);
    let usage = reply.writing.as_ref().and_then(|writing| writing.usage).unwrap_or_default();
    let told =
        Told::generation(ChangeKind::GenerationEnded, generation.conversation, generation.id);
    let written = written(reply);
    let unsaved = unsaved.map(checkpoints::row).transpose()?;
    let newer = stored_to.map(|stored_to| newer(generation.id, stored_to, unsaved.as_ref()));
    let newer = newer.transpose()?;
    db.write_telling(owner, Watched::Changes, move |tx| {
        Box::pin(async move {
            let mut batch = telling(tx, owner, now, &[told]);
            let backend = batch.backend();
            batch = batch.and(1, written.build(backend));
            batch = budget::settle(batch, &generation, usage)?.and(1, end.build(backend));
            if let Some(row) = unsaved {
                batch = batch.and(1, checkpoints::insertion([row]).build(backend));
            }
            match batch.run(tx).await {
                Ok(true) => {
                    // Asked now that the generation is locked: no checkpoint is on its way.
                    let newer = match newer {
                        Some(newer) => newer.count(tx).await.map_err(database)?,
                        None => 0,
                    };
                    if newer == 0 { Ok(()) } else { Err(PortError::Stale) }
                }
                Ok(false) => Err(PortError::Stale),
                // The generation was deleted, or its owner.
                Err(error) if is_dangling(&error) => Err(PortError::Stale),
                Err(error) => Err(database(error)),
            }
        })
    })
    .await
}

/// The checkpoints of a generation after the number `stored_to`, but for the one that is stored
/// with its end.
fn newer(
    generation: GenerationId,
    stored_to: u64,
    unsaved: Option<&checkpoint::Model>,
) -> Result<Select<checkpoint::Entity>, PortError> {
    use checkpoint::{Column, Entity};

    let stored_to = i64::try_from(stored_to).map_err(corrupt)?;
    let newer = Entity::find()
        .filter(Column::GenerationId.eq(generation.as_uuid()))
        .filter(Column::LastSeq.gt(stored_to));
    Ok(match unsaved {
        Some(unsaved) => newer.filter(Column::FirstSeq.ne(unsaved.first_seq)),
        None => newer,
    })
}

/// What the writing of a reply changes of its message, and nothing that others may have changed
/// meanwhile.
fn written(reply: Message) -> UpdateMany<message::Entity> {
    use message::{ActiveModel, Column, Entity};

    let row = message::Model::from(reply);
    let id = row.id;
    let row = sea_orm::ActiveModelTrait::reset_all(row.into_active_model());
    Entity::update_many()
        .set(ActiveModel {
            content: row.content,
            status: row.status,
            model: row.model,
            prompt_tokens: row.prompt_tokens,
            completion_tokens: row.completion_tokens,
            tokens_used: row.tokens_used,
            usage_estimated: row.usage_estimated,
            cost: row.cost,
            latency_ms: row.latency_ms,
            first_token_ms: row.first_token_ms,
            finish_reason: row.finish_reason,
            updated_at: row.updated_at,
            ..ActiveModel::default()
        })
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(id))
}
