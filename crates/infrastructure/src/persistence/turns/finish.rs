//! A turn ends, once.

use repartee_application::ports::{FinishedTurn, PortError};
use repartee_domain::{
    messages::Message,
    replies::{Ended, Outcome},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, IntoActiveModel,
    QueryFilter, QueryTrait, UpdateMany, sea_query::Expr,
};

use super::checkpoints;
use crate::persistence::{
    Database,
    entity::{
        generation::{ActiveModel, Column, Entity},
        message,
    },
    error::{database, is_dangling},
    stored::corrupt,
};

pub(super) async fn finish_turn(db: &Database, turn: FinishedTurn) -> Result<(), PortError> {
    let FinishedTurn { ended, unsaved, terminal } = turn;
    let Ended { generation, reply, outcome, attempts } = ended;
    let failure = match outcome {
        Outcome::Failed(failure) => Some(failure.code().to_owned()),
        Outcome::Completed(_) | Outcome::Cancelled | Outcome::Interrupted => None,
    };
    let end = Entity::update_many()
        .set(ActiveModel {
            state: Set(outcome.state().as_str().to_owned()),
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
    let written = written(reply);
    let unsaved = unsaved.map(checkpoints::row).transpose()?;
    db.write(move |tx| {
        Box::pin(async move {
            let backend = tx.get_database_backend();
            // The message first: whoever deletes the conversation locks them in this order too.
            let mut statements = vec![written.build(backend), end.build(backend)];
            statements.extend(unsaved.map(|row| checkpoints::insertion([row]).build(backend)));
            let rows = statements.len() as u64;
            match tx.execute_all(statements).await {
                Ok(written) if written == rows => Ok(()),
                Ok(_) => Err(PortError::Stale),
                // The generation was deleted.
                Err(error) if is_dangling(&error) => Err(PortError::Stale),
                Err(error) => Err(database(error)),
            }
        })
    })
    .await
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
