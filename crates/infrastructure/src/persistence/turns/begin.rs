//! A turn begins: all of it in one commit, or nothing.

use std::sync::Arc;

use repartee_application::ports::{NewTurn, PortError, TurnBegun};
use repartee_domain::{
    ConversationId, GenerationId, UserId,
    conversations::ConversationStatusName,
    replies::{Generation, GenerationState},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    QueryTrait,
};
use uuid::Uuid;

use crate::persistence::{
    Database, Transaction,
    entity::{
        conversation,
        generation::{Column, Entity, Model},
        message,
    },
    error::{database, is_dangling, taken},
    messages,
};

/// What is taken where a reply is being written in the conversation.
const THE_TURN: &str = "conversation";
/// The conversation, two messages, the generation.
const ROWS: u64 = 4;

pub(super) async fn begin_turn(db: &Database, turn: NewTurn) -> Result<TurnBegun, PortError> {
    let turn = Arc::new(turn);
    loop {
        let this = Arc::clone(&turn);
        match db.write(move |tx| Box::pin(async move { store(tx, &this).await })).await {
            Ok(()) => return Ok(TurnBegun::Begun),
            Err(PortError::Stale) => return Ok(TurnBegun::ConversationClosed),
            Err(PortError::Taken { field: THE_TURN }) => {}
            Err(error) => return Err(error),
        }
        let Generation { owner, conversation, .. } = turn.generation;
        if !is_open(db, owner, conversation).await? {
            return Ok(TurnBegun::ConversationClosed);
        }
        if let Some(other) = running(db, owner, conversation).await? {
            return Ok(TurnBegun::ReplyInProgress(other));
        }
        // It ended a moment ago: the turn is free again.
    }
}

/// That only one reply is written at a time is the unique index's business, which holds against
/// any number of processes. [`PortError::Stale`] where the conversation takes no messages.
async fn store(tx: &Transaction, turn: &NewTurn) -> Result<(), PortError> {
    let Generation { owner, conversation, .. } = turn.generation;
    let backend = tx.get_database_backend();
    let moved = messages::last_message(conversation, turn.question.created_at)
        .filter(conversation::Column::OwnerId.eq(owner.as_uuid()));
    let messages = [&turn.question, &turn.reply]
        .map(|message| message::Model::from(message.clone()).into_active_model());
    let statements = vec![
        moved.build(backend),
        message::Entity::insert_many(messages).build(backend),
        Entity::insert(row(turn).into_active_model()).build(backend),
    ];
    match tx.execute_all(statements).await {
        Ok(ROWS) => Ok(()),
        Ok(_) => Err(PortError::Stale),
        // The conversation was deleted.
        Err(error) if is_dangling(&error) => Err(PortError::Stale),
        Err(error) => Err(taken("generations", &[("conversation_id", THE_TURN)])(error)),
    }
}

async fn is_open(
    db: &Database,
    owner: UserId,
    conversation: ConversationId,
) -> Result<bool, PortError> {
    let id: Option<Uuid> = conversation::Entity::find()
        .select_only()
        .column(conversation::Column::Id)
        .filter(conversation::Column::Id.eq(conversation.as_uuid()))
        .filter(conversation::Column::OwnerId.eq(owner.as_uuid()))
        .filter(conversation::Column::Status.eq(ConversationStatusName::Active.as_str()))
        .into_tuple()
        .one(db.reader())
        .await
        .map_err(database)?;
    Ok(id.is_some())
}

pub(super) async fn running(
    db: &Database,
    owner: UserId,
    conversation: ConversationId,
) -> Result<Option<GenerationId>, PortError> {
    let id: Option<Uuid> = super::owned_by(owner)
        .select_only()
        .column(Column::Id)
        .filter(Column::ConversationId.eq(conversation.as_uuid()))
        .filter(Column::EndedAt.is_null())
        .into_tuple()
        .one(db.reader())
        .await
        .map_err(database)?;
    Ok(id.map(GenerationId::from_uuid))
}

fn row(turn: &NewTurn) -> Model {
    let generation = &turn.generation;
    Model {
        id: generation.id.as_uuid(),
        owner_id: generation.owner.as_uuid(),
        conversation_id: generation.conversation.as_uuid(),
        user_message_id: generation.user_message.as_uuid(),
        message_id: generation.message.as_uuid(),
        state: GenerationState::Queued.as_str().to_owned(),
        model: generation.model.clone(),
        attempts: 0,
        failure: None,
        lease_owner: turn.lease_owner.0,
        lease_until: turn.lease_until,
        last_seq: None,
        terminal_kind: None,
        terminal_event: None,
        created_at: generation.created_at,
        ended_at: None,
    }
}
