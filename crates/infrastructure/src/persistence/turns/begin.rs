//! A turn begins: all of it in one commit, or nothing.

use std::sync::Arc;

use repartee_application::ports::{
    ChangeKind, Done, NewTurn, PortError, Question, TurnBegun, Watched,
};
use repartee_domain::{
    ApiKeyId, ConversationId, GenerationId, UserId,
    conversations::Branching,
    replies::{Generation, GenerationState},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect, QueryTrait, Statement, sea_query::Expr,
};
use uuid::Uuid;

use super::budget;
use crate::persistence::{
    Database, Transaction,
    batch::statement,
    budgets,
    entity::{
        conversation,
        generation::{Column, Entity},
        message,
    },
    error::{database, is_dangling, taken},
    feeds::{Told, telling},
    idempotency, messages,
    stored::corrupt,
};

/// What a turn must not begin after unseen.
const SAID: [ChangeKind; 2] = [ChangeKind::MessageCreated, ChangeKind::GenerationEnded];

/// What is taken where a reply is being written in the conversation.
const THE_TURN: &str = "conversation";
/// Stored only where its owner has fewer running replies than the limit. The count is exact: who
/// begins or ends another reply of theirs waits for this transaction, or was waited for.
const GENERATION: &str = "INSERT INTO generations (id, owner_id, conversation_id, \
    user_message_id, message_id, state, model, lease_owner, lease_until, created_at, \
    api_key_id, reserved_tokens) \
    SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? \
    WHERE (SELECT COUNT(*) FROM generations WHERE owner_id = ? AND ended_at IS NULL) \
    + (SELECT COUNT(*) FROM running_completions \
    WHERE owner_id = ? AND NOT is_aside AND expires_at > ?) < ?";

pub(super) async fn begin_turn(db: &Database, turn: NewTurn) -> Result<TurnBegun, PortError> {
    let turn = Arc::new(turn);
    let owner = turn.generation.owner;
    let mut tokens = turn.budget.most();
    loop {
        let this = Arc::clone(&turn);
        let stored = db.write_telling(owner, Watched::Changes, move |tx| {
            Box::pin(async move { store(tx, &this, tokens).await })
        });
        let error = match stored.await {
            Ok(()) if tokens < turn.budget.most() => return Ok(TurnBegun::BegunWithin { tokens }),
            Ok(()) => return Ok(TurnBegun::Begun),
            Err(error) => error,
        };
        let (PortError::Stale | PortError::Taken { field: THE_TURN } | PortError::Corrupt(_)) =
            error
        else {
            return Err(error);
        };
        if let Some(reason) = reason(db, &turn).await? {
            return Ok(reason);
        }
        if let PortError::Corrupt(_) = error {
            return Err(error);
        }
        if turn.budget.is_limited() {
            let left = budget::left(db, &turn).await?;
            if left < turn.budget.least() {
                return Ok(TurnBegun::OverBudget);
            }
            tokens = left.min(turn.budget.most());
        }
        // What was in the way a moment ago is over.
    }
}

/// That only one reply is written at a time is the unique index's business, which holds against
/// any number of processes. [`PortError::Stale`] where something was in the way, and
/// [`PortError::Corrupt`] where something is missing that the turn points at.
async fn store(tx: &Transaction, turn: &NewTurn, tokens: u64) -> Result<(), PortError> {
    let Generation { id, owner, conversation, .. } = turn.generation;
    let now = turn.generation.created_at;
    let question = turn.question.message();
    let started = Told::generation(ChangeKind::GenerationStarted, conversation, id);
    let asked = Told::message(conversation, question.id);
    let (told, new) = match turn.question {
        Question::New(_) => (vec![asked, started], vec![question, &turn.reply]),
        Question::Stored(_) => (vec![started], vec![&turn.reply]),
    };
    let batch = telling(tx, owner, now, &told);
    let mut batch = messages::threaded(tx, batch, conversation, turn.branching).await?;
    let backend = batch.backend();
    let said = messages::said_since(owner, conversation, turn.seen, question.id, &SAID)?;
    let mut moved = messages::last_message(owner, conversation, now, turn.branching)
        .filter(messages::nothing(said));
    if let Some(expires_at) = turn.expires_at {
        moved = moved.col_expr(conversation::Column::ExpiresAt, Expr::value(expires_at));
    }
    let rows = new.len() as u64;
    let insert = message::Entity::insert_many(
        new.into_iter().map(|message| message::Model::from(message.clone()).into_active_model()),
    );
    batch = batch.and(1, moved.build(backend)).and(rows, insert.build(backend));
    batch = budget::reserve(batch, turn, tokens)?.and(1, generation(backend, turn, tokens)?);
    if let Some(key) = &turn.key {
        batch = batch.and(1, idempotency::insertion(backend, owner, key, Done::Turn(id), now));
    }
    match batch.run(tx).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(PortError::Stale),
        Err(error) if is_dangling(&error) => Err(corrupt(error)),
        Err(error) => Err(taken("generations", &[("conversation_id", THE_TURN)])(error)),
    }
}

fn generation(backend: DbBackend, turn: &NewTurn, tokens: u64) -> Result<Statement, PortError> {
    let reserved = turn.budget.is_limited().then(|| i64::try_from(tokens).map_err(corrupt));
    let generation = &turn.generation;
    let owner = generation.owner.as_uuid();
    let values = [
        generation.id.as_uuid().into(),
        owner.into(),
        generation.conversation.as_uuid().into(),
        generation.user_message.as_uuid().into(),
        generation.message.as_uuid().into(),
        GenerationState::Queued.as_str().into(),
        generation.model.as_str().into(),
        turn.lease_owner.0.into(),
        turn.lease_until.into(),
        generation.created_at.into(),
        generation.api_key.map(ApiKeyId::as_uuid).into(),
        reserved.transpose()?.into(),
        owner.into(),
        owner.into(),
        generation.created_at.into(),
        i64::from(turn.most_running).into(),
    ];
    Ok(statement(backend, GENERATION, values))
}

/// Why a turn was not begun, as far as that still holds.
async fn reason(db: &Database, turn: &NewTurn) -> Result<Option<TurnBegun>, PortError> {
    let Generation { owner, conversation, created_at, .. } = turn.generation;
    if let Some(key) = &turn.key
        && let Some(used) = idempotency::used(db, owner, key.route, &key.key, created_at).await?
    {
        return Ok(Some(TurnBegun::KeyUsed(used)));
    }
    let is_branched = messages::is_branched_while_open(db, owner, conversation).await?;
    let Some(is_branched) = is_branched else { return Ok(Some(TurnBegun::ConversationClosed)) };
    if let Some(other) = running(db, owner, conversation).await? {
        return Ok(Some(TurnBegun::ReplyInProgress(other)));
    }
    let running_now = budgets::running(db, owner, created_at).await?;
    if running_now >= u64::from(turn.most_running) {
        return Ok(Some(TurnBegun::TooManyRunning));
    }
    if is_branched != (turn.branching == Branching::Branched) {
        return Ok(Some(TurnBegun::Outdated));
    }
    let question = turn.question.message().id;
    let said = messages::said_since(owner, conversation, turn.seen, question, &SAID)?;
    let said = db.reader().query_one(&said).await.map_err(database)?;
    Ok(said.map(|_| TurnBegun::Outdated))
}

pub(super) async fn running(
    db: &Database,
    owner: UserId,
    conversation: ConversationId,
) -> Result<Option<GenerationId>, PortError> {
    let id: Option<Uuid> = running_of(owner)
        .select_only()
        .column(Column::Id)
        .filter(Column::ConversationId.eq(conversation.as_uuid()))
        .into_tuple()
        .one(db.reader())
        .await
        .map_err(database)?;
    Ok(id.map(GenerationId::from_uuid))
}

pub(super) fn running_of(owner: UserId) -> sea_orm::Select<Entity> {
    super::owned_by(owner).filter(Column::EndedAt.is_null())
}
