//! Putting entries into the hash chain, one writer at a time.

use repartee_application::{
    audit::{ChainHash, Head, SealedEntry, StoredEntry},
    ports::PortError,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    Statement, sea_query::Expr,
};

use crate::persistence::{
    Transaction,
    entity::audit_log::{Column, Entity, Model},
    error::database,
    stored::{corrupt, number},
};

/// Held while entries are sealed. Any number, as long as it stays the same.
const SEALING: i64 = 0x7265_7061_7564_6974;

/// A process that hangs while it seals is not waited for longer than this.
const PATIENCE: &str = "SET LOCAL lock_timeout = '5s'";

/// Gives how many were sealed.
pub(super) async fn seal(tx: &Transaction, limit: u32) -> Result<u64, PortError> {
    wait_for_turn(tx).await?;
    let rows = Entity::find()
        .filter(Column::Position.is_null())
        .order_by_asc(Column::Id)
        .limit(u64::from(limit))
        .all(tx)
        .await
        .map_err(database)?;
    let mut head = head(tx).await?;
    let mut sealed = 0;
    for row in rows {
        let entry = StoredEntry::from(row);
        let next = head.then(&entry);
        let position = i64::try_from(next.position).map_err(corrupt)?;
        Entity::update_many()
            .col_expr(Column::Position, Expr::value(position))
            .col_expr(Column::PreviousHash, Expr::value(head.hash.0.to_vec()))
            .col_expr(Column::Hash, Expr::value(next.hash.0.to_vec()))
            .filter(Column::Id.eq(entry.id))
            .exec(tx)
            .await
            .map_err(database)?;
        head = next;
        sealed += 1;
    }
    Ok(sealed)
}

/// SQLite has one writer anyway. On PostgreSQL the lock goes with the transaction, and what the one
/// before sealed is seen by then.
async fn wait_for_turn(tx: &Transaction) -> Result<(), PortError> {
    if tx.get_database_backend() == DbBackend::Sqlite {
        return Ok(());
    }
    tx.execute_unprepared(PATIENCE).await.map_err(database)?;
    let lock = "SELECT pg_advisory_xact_lock($1)";
    let lock = Statement::from_sql_and_values(DbBackend::Postgres, lock, [SEALING.into()]);
    tx.execute_raw(lock).await.map(drop).map_err(database)
}

pub(super) async fn head(connection: &impl ConnectionTrait) -> Result<Head, PortError> {
    let last: Option<(i64, Option<Vec<u8>>)> = Entity::find()
        .select_only()
        .columns([Column::Position, Column::Hash])
        .filter(Column::Position.is_not_null())
        .order_by_desc(Column::Position)
        .limit(1)
        .into_tuple()
        .one(connection)
        .await
        .map_err(database)?;
    let Some((position, hash)) = last else { return Ok(Head::START) };
    // Where somebody took the hash away, the chain goes on, and verifying it finds the place.
    let hash = hash.and_then(|hash| ChainHash::from_slice(&hash)).unwrap_or(Head::START.hash);
    Ok(Head { position: number(position)?, hash })
}

impl From<Model> for StoredEntry {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            actor: row.actor,
            action: row.action,
            resource: row.resource,
            resource_id: row.resource_id,
            outcome: row.outcome,
            details: row.details,
            ip_address: row.ip_address,
            personal: row.personal,
            request_id: row.request_id,
            at: row.at,
        }
    }
}

impl TryFrom<Model> for SealedEntry {
    type Error = PortError;

    fn try_from(row: Model) -> Result<Self, PortError> {
        let hash = |stored: &Option<Vec<u8>>| stored.as_deref().and_then(ChainHash::from_slice);
        Ok(Self {
            position: number(row.position.unwrap_or_default())?,
            previous: hash(&row.previous_hash),
            hash: hash(&row.hash),
            entry: row.into(),
        })
    }
}
