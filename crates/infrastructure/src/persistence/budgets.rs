//! What was used of the budgets, and completions that may yet use some, in the database.
//!
//! Who writes locks the owner's row in `feeds` first, as turns do: what one user begins and ends
//! comes one after the other, so that counts and limits are exact.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::ports::{
    BudgetLedger, NewSpending, PortError, Reserved, Spending, TurnBudget,
};
use repartee_domain::{ApiKeyId, UserId, limits::Month};
use sea_orm::{ConnectionTrait, DbBackend, Value};
use uuid::Uuid;

use super::{
    Database,
    batch::{Batch, statement},
    error::{database, is_dangling},
    stored::{corrupt, number},
    turns::{Subject, left_of, reserve_of, stored_tokens, subjects_of},
};

const LOCK: &str = "INSERT INTO feeds (owner_id, last_seq) VALUES (?, 0) \
    ON CONFLICT (owner_id) DO UPDATE SET last_seq = feeds.last_seq";
/// Stored only where its owner has less running than the limit.
const BEGIN: &str = "INSERT INTO running_completions \
    (id, owner_id, api_key_id, period, reserved_tokens, expires_at, is_aside) \
    SELECT ?, ?, ?, ?, ?, ?, ? \
    WHERE (SELECT COUNT(*) FROM generations WHERE owner_id = ? AND ended_at IS NULL) \
    + (SELECT COUNT(*) FROM running_completions \
    WHERE owner_id = ? AND NOT is_aside AND expires_at > ?) < ?";
const RUNNING: &str = "SELECT \
    (SELECT COUNT(*) FROM generations WHERE owner_id = ? AND ended_at IS NULL) \
    + (SELECT COUNT(*) FROM running_completions \
    WHERE owner_id = ? AND NOT is_aside AND expires_at > ?) AS running";
/// One row, unless it is settled already. Where the row is new, nothing was reserved.
const SETTLE_USER: &str = "INSERT INTO token_budgets (subject_id, period, used, reserved) \
    SELECT owner_id, period, ?, 0 FROM running_completions WHERE id = ? \
    ON CONFLICT (subject_id, period) DO UPDATE SET used = token_budgets.used + excluded.used, \
    reserved = token_budgets.reserved - \
    (SELECT reserved_tokens FROM running_completions WHERE id = ?)";
const SETTLE_KEY: &str = "INSERT INTO token_budgets (subject_id, period, used, reserved) \
    SELECT api_key_id, period, ?, 0 FROM running_completions WHERE id = ? \
    ON CONFLICT (subject_id, period) DO UPDATE SET used = token_budgets.used + excluded.used, \
    reserved = token_budgets.reserved - \
    (SELECT reserved_tokens FROM running_completions WHERE id = ?)";
const END: &str = "DELETE FROM running_completions WHERE id = ?";
const EXPIRED: &str = "SELECT id, owner_id, api_key_id, reserved_tokens \
    FROM running_completions WHERE expires_at <= ? ORDER BY expires_at LIMIT ?";
const FORGET: &str = "DELETE FROM token_budgets WHERE (subject_id, period) IN \
    (SELECT subject_id, period FROM token_budgets WHERE period < ? LIMIT ?";
/// One that goes with its user at this moment is not waited for.
const NOT_LOCKED: &str = " FOR UPDATE SKIP LOCKED";

pub struct SeaBudgetLedger {
    db: Database,
}

impl SeaBudgetLedger {
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    /// `false` where there is too little left, or too much runs already.
    async fn begin(&self, wish: &NewSpending, tokens: u64) -> Result<bool, PortError> {
        let wish = wish.clone();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let batch = locked(Batch::new(tx), wish.spending.owner);
                    let batch = beginning(batch, &wish, tokens)?;
                    match batch.run(tx).await {
                        Ok(true) => Ok(()),
                        Ok(false) => Err(PortError::Stale),
                        // Its owner was deleted.
                        Err(error) if is_dangling(&error) => Err(corrupt(error)),
                        Err(error) => Err(database(error)),
                    }
                })
            })
            .await
            .map(|()| true)
            .or_else(|error| if let PortError::Stale = error { Ok(false) } else { Err(error) })
    }
}

#[async_trait]
impl BudgetLedger for SeaBudgetLedger {
    async fn reserve(&self, wish: NewSpending) -> Result<Reserved, PortError> {
        let NewSpending { spending, began_at, most_running, budget, .. } = &wish;
        let mut tokens = budget.most();
        loop {
            if self.begin(&wish, tokens).await? {
                let most = if budget.is_limited() { tokens } else { u64::MAX };
                return Ok(Reserved::Tokens(most));
            }
            let running = running(&self.db, spending.owner, *began_at).await?;
            if most_running.is_some_and(|most| running >= u64::from(most)) {
                return Ok(Reserved::TooManyRunning);
            }
            if budget.is_limited() {
                let period = Month::of(*began_at);
                let left = left_of(&self.db, subjects(spending, *budget), period).await?;
                if left < budget.least() {
                    return Ok(Reserved::OverBudget);
                }
                tokens = left.min(budget.most());
            }
            // What was in the way a moment ago is over.
        }
    }

    async fn settle(&self, spending: &Spending, tokens: u64) -> Result<(), PortError> {
        let (spending, used) = (spending.clone(), stored_tokens(tokens)?);
        let settled = self
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let mut batch = locked(Batch::new(tx), spending.owner);
                    let of_key = spending.api_key.map(|_| SETTLE_KEY);
                    for sql in [Some(SETTLE_USER), of_key].into_iter().flatten() {
                        let values: [Value; 3] =
                            [used.into(), spending.id.into(), spending.id.into()];
                        batch = batch.beside(1, sql, values);
                    }
                    let end = statement(batch.backend(), END, [spending.id.into()]);
                    match batch.and(1, end).run(tx).await {
                        Ok(true) => Ok(()),
                        Ok(false) => Err(PortError::Stale),
                        // It went with its owner.
                        Err(error) if is_dangling(&error) => Err(PortError::Stale),
                        Err(error) => Err(database(error)),
                    }
                })
            })
            .await;
        match settled {
            Ok(()) | Err(PortError::Stale) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn expire(&self, now: DateTime<Utc>, limit: u32) -> Result<u64, PortError> {
        let reader = self.db.reader();
        let values: [Value; 2] = [now.into(), i64::from(limit).into()];
        let expired = statement(reader.get_database_backend(), EXPIRED, values);
        let rows = reader.query_all_raw(expired).await.map_err(database)?;
        let mut count = 0;
        for row in rows {
            let spending = Spending {
                id: row.try_get("", "id").map_err(database)?,
                owner: UserId::from_uuid(row.try_get("", "owner_id").map_err(database)?),
                api_key: row
                    .try_get::<Option<Uuid>>("", "api_key_id")
                    .map_err(database)?
                    .map(ApiKeyId::from_uuid),
            };
            let reserved: i64 = row.try_get("", "reserved_tokens").map_err(database)?;
            self.settle(&spending, number(reserved)?).await?;
            count += 1;
        }
        Ok(count)
    }

    async fn forget(&self, before: Month, limit: u32) -> Result<u64, PortError> {
        // Months sort as their names do.
        let (before, limit) = (before.to_string(), i64::from(limit));
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let backend = tx.get_database_backend();
                    let lock = if backend == DbBackend::Postgres { NOT_LOCKED } else { "" };
                    let sql = format!("{FORGET}{lock})");
                    let delete = statement(backend, &sql, [before.into(), limit.into()]);
                    let deleted = tx.execute_raw(delete).await.map_err(database)?;
                    Ok(deleted.rows_affected())
                })
            })
            .await
    }
}

/// How many replies and completions of a user run.
pub(super) async fn running(
    db: &Database,
    owner: UserId,
    now: DateTime<Utc>,
) -> Result<u64, PortError> {
    let owner = owner.as_uuid();
    let values: [Value; 3] = [owner.into(), owner.into(), now.into()];
    let count = statement(db.reader().get_database_backend(), RUNNING, values);
    let row = db.reader().query_one_raw(count).await.map_err(database)?;
    let running = row.map_or(Ok(0), |row| row.try_get::<i64>("", "running")).map_err(database)?;
    number(running)
}

fn locked(batch: Batch, owner: UserId) -> Batch {
    let lock = statement(batch.backend(), LOCK, [owner.as_uuid().into()]);
    batch.and(1, lock)
}

fn beginning(batch: Batch, wish: &NewSpending, tokens: u64) -> Result<Batch, PortError> {
    let NewSpending { spending, began_at, expires_at, most_running, budget } = wish;
    let Spending { id, owner, api_key } = spending;
    let period = Month::of(*began_at);
    let reserved = if budget.is_limited() { tokens } else { 0 };
    let batch = if budget.is_limited() {
        reserve_of(batch, subjects(spending, *budget), period, tokens)?
    } else {
        batch
    };
    let owner = owner.as_uuid();
    let values: [Value; 11] = [
        (*id).into(),
        owner.into(),
        api_key.map(ApiKeyId::as_uuid).into(),
        period.to_string().into(),
        stored_tokens(reserved)?.into(),
        (*expires_at).into(),
        most_running.is_none().into(),
        owner.into(),
        owner.into(),
        (*began_at).into(),
        most_running.map_or(i64::MAX, i64::from).into(),
    ];
    let begin = statement(batch.backend(), BEGIN, values);
    Ok(batch.and(1, begin))
}

fn subjects(spending: &Spending, budget: TurnBudget) -> impl Iterator<Item = Subject> + use<> {
    subjects_of(spending.owner, spending.api_key, budget)
}
