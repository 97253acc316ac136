//! What was used of the budgets, in the database.

use async_trait::async_trait;
use repartee_application::ports::{BudgetLedger, PortError};
use repartee_domain::limits::Month;
use sea_orm::{ConnectionTrait, DbBackend};

use super::{Database, batch::statement, error::database};

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
}

#[async_trait]
impl BudgetLedger for SeaBudgetLedger {
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
