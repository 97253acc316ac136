//! Tokens of a month: reserved when a turn begins, counted when it ends.
//!
//! The statements are of the transactions that begin and end turns, which lock the owner's row in
//! `feeds` first: those of one user, and of their keys, come one after the other.

use repartee_application::ports::{NewTurn, PortError, TurnBudget};
use repartee_domain::{
    ApiKeyId, ConversationId, UserId,
    limits::Month,
    replies::{Generation, Usage},
};
use sea_orm::{ConnectionTrait, DbBackend, Value};
use uuid::Uuid;

use crate::persistence::{
    Database, Transaction,
    batch::{Batch, statement},
    error::database,
    stored::{corrupt, number},
};

/// A user or a key, and what they may use in a month; `None` for any number.
pub(in crate::persistence) type Subject = (Uuid, Option<u64>);

/// One row, or none where the limit would be passed.
const RESERVE: &str = "INSERT INTO token_budgets (subject_id, period, used, reserved) \
    SELECT ?, ?, 0, ? WHERE ? <= ? \
    ON CONFLICT (subject_id, period) DO UPDATE \
    SET reserved = token_budgets.reserved + excluded.reserved \
    WHERE token_budgets.used + token_budgets.reserved + excluded.reserved <= ?";
/// One row, unless the generation is over already. Where the row is new, nothing was reserved.
const SETTLE_USER: &str = "INSERT INTO token_budgets (subject_id, period, used, reserved) \
    SELECT owner_id, ?, ?, 0 FROM generations WHERE id = ? AND ended_at IS NULL \
    ON CONFLICT (subject_id, period) DO UPDATE SET used = token_budgets.used + excluded.used, \
    reserved = token_budgets.reserved - \
    (SELECT COALESCE(reserved_tokens, 0) FROM generations WHERE id = ?)";
const SETTLE_KEY: &str = "INSERT INTO token_budgets (subject_id, period, used, reserved) \
    SELECT api_key_id, ?, ?, 0 FROM generations WHERE id = ? AND ended_at IS NULL \
    ON CONFLICT (subject_id, period) DO UPDATE SET used = token_budgets.used + excluded.used, \
    reserved = token_budgets.reserved - \
    (SELECT COALESCE(reserved_tokens, 0) FROM generations WHERE id = ?)";
const CHARGE: &str = "UPDATE token_budgets SET used = used + running.reserved_tokens, \
    reserved = reserved - running.reserved_tokens FROM generations AS running \
    WHERE running.conversation_id = ? AND running.owner_id = ? AND running.ended_at IS NULL \
    AND running.reserved_tokens > 0 \
    AND (subject_id = running.owner_id OR subject_id = running.api_key_id) AND period = ";

/// Reserves tokens for the user and the key, all or nothing; as the limits allow, however many
/// transactions do so at once. Nothing is done where nothing is limited.
pub(super) fn reserve(batch: Batch, turn: &NewTurn, tokens: u64) -> Result<Batch, PortError> {
    if !turn.budget.is_limited() {
        return Ok(batch);
    }
    let period = Month::of(turn.generation.created_at);
    reserve_of(batch, subjects(turn), period, tokens)
}

/// As many of each subject, whose limits come with them.
pub(in crate::persistence) fn reserve_of(
    mut batch: Batch,
    subjects: impl Iterator<Item = Subject>,
    period: Month,
    tokens: u64,
) -> Result<Batch, PortError> {
    let (tokens, period) = (stored(tokens)?, period.to_string());
    for (subject, limit) in subjects {
        let limit = limit.map_or(i64::MAX, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let values: [Value; 6] = [
            subject.into(),
            period.as_str().into(),
            tokens.into(),
            tokens.into(),
            limit.into(),
            limit.into(),
        ];
        batch = batch.beside(1, RESERVE, values);
    }
    Ok(batch)
}

/// Counts what a turn used in place of what was reserved for it.
pub(super) fn settle(
    mut batch: Batch,
    generation: &Generation,
    usage: Usage,
) -> Result<Batch, PortError> {
    let used = stored(u64::from(usage.prompt_tokens) + u64::from(usage.completion_tokens))?;
    let period = Month::of(generation.created_at).to_string();
    let of_key = generation.api_key.map(|_| SETTLE_KEY);
    for sql in [Some(SETTLE_USER), of_key].into_iter().flatten() {
        let id = generation.id.as_uuid();
        let values: [Value; 4] = [period.as_str().into(), used.into(), id.into(), id.into()];
        batch = batch.beside(1, sql, values);
    }
    Ok(batch)
}

/// What is left for a turn, of what is limited the least.
pub(super) async fn left(db: &Database, turn: &NewTurn) -> Result<u64, PortError> {
    left_of(db, subjects(turn), Month::of(turn.generation.created_at)).await
}

/// What is left of what is limited the least.
pub(in crate::persistence) async fn left_of(
    db: &Database,
    subjects: impl Iterator<Item = Subject>,
    period: Month,
) -> Result<u64, PortError> {
    let period = period.to_string();
    let mut left = u64::MAX;
    for (subject, limit) in subjects {
        let Some(limit) = limit else { continue };
        let sql = "SELECT used + reserved AS taken FROM token_budgets \
            WHERE subject_id = ? AND period = ?";
        let backend = db.reader().get_database_backend();
        let values: [Value; 2] = [subject.into(), period.as_str().into()];
        let row = db.reader().query_one_raw(statement(backend, sql, values)).await;
        let taken = match row.map_err(database)? {
            Some(row) => row.try_get::<i64>("", "taken").map_err(database)?,
            None => 0,
        };
        left = left.min(limit.saturating_sub(number(taken)?));
    }
    Ok(left)
}

/// Counts what is reserved for a running reply of a conversation as used: it is about to be deleted,
/// and nobody will know what it came to.
pub(in crate::persistence) async fn charge(
    tx: &Transaction,
    conversation: ConversationId,
    owner: UserId,
) -> Result<(), PortError> {
    let backend = tx.get_database_backend();
    let period = match backend {
        DbBackend::Sqlite => "substr(running.created_at, 1, 7)",
        _ => "to_char(running.created_at AT TIME ZONE 'UTC', 'YYYY-MM')",
    };
    let values: [Value; 2] = [conversation.as_uuid().into(), owner.as_uuid().into()];
    let charge = statement(backend, &format!("{CHARGE}{period}"), values);
    tx.execute_raw(charge).await.map(drop).map_err(database)
}

/// Forgets what a user and their keys used, before they are deleted with their keys.
pub(in crate::persistence) async fn forget(
    tx: &Transaction,
    user: UserId,
) -> Result<(), PortError> {
    let sql = "DELETE FROM token_budgets WHERE subject_id = ? \
        OR subject_id IN (SELECT id FROM api_keys WHERE user_id = ?)";
    let user = Value::from(user.as_uuid());
    let delete = statement(tx.get_database_backend(), sql, [user.clone(), user]);
    tx.execute_raw(delete).await.map(drop).map_err(database)
}

fn subjects(turn: &NewTurn) -> impl Iterator<Item = Subject> + use<> {
    subjects_of(turn.generation.owner, turn.generation.api_key, turn.budget)
}

/// A user, and the key that they asked with.
pub(in crate::persistence) fn subjects_of(
    owner: UserId,
    key: Option<ApiKeyId>,
    budget: TurnBudget,
) -> impl Iterator<Item = Subject> {
    let TurnBudget { of_user, of_key, .. } = budget;
    let user = (owner.as_uuid(), of_user);
    let key = key.map(|key| (key.as_uuid(), of_key));
    [Some(user), key].into_iter().flatten()
}

pub(in crate::persistence) fn stored(tokens: u64) -> Result<i64, PortError> {
    i64::try_from(tokens).map_err(corrupt)
}
