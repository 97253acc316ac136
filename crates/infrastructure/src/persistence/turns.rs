//! Turns in the database: a question, its reply, and the events of the writing.

mod begin;
mod budget;
mod cancel;
mod checkpoints;
mod encoding;
mod finish;
mod history;
mod leases;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::ports::{
    Checkpoint, FinishedTurn, History, HistoryFrom, LeaseOwner, LoggedEvent, NewTurn, Orphan,
    PortError, StoredGeneration, TurnBegun, TurnRepository,
};
use repartee_domain::{
    ApiKeyId, ConversationId, GenerationId, MessageId, UserId, replies::Generation,
};
use sea_orm::{
    ColumnTrait, EntityTrait, IdenStatic, Iterable, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::Expr,
};

pub(super) use self::budget::{
    Subject, charge, forget as forget_budgets, left_of, reserve_of, stored as stored_tokens,
    subjects_of,
};
use super::{
    Database,
    entity::generation::{Column, Entity, Model},
    error::database,
    stored::{number, parsed},
};

pub struct SeaTurnRepository {
    db: Database,
}

impl SeaTurnRepository {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl TurnRepository for SeaTurnRepository {
    async fn begin_turn(&self, turn: NewTurn) -> Result<TurnBegun, PortError> {
        begin::begin_turn(&self.db, turn).await
    }

    async fn checkpoint(&self, checkpoints: Vec<Checkpoint>) -> Result<(), PortError> {
        checkpoints::store(&self.db, checkpoints).await
    }

    async fn finish_turn(&self, turn: FinishedTurn) -> Result<(), PortError> {
        finish::finish_turn(&self.db, turn).await
    }

    async fn settle_turn(&self, turn: FinishedTurn, stored_to: u64) -> Result<bool, PortError> {
        finish::settle_turn(&self.db, turn, stored_to).await
    }

    async fn renew_leases(
        &self,
        owner: LeaseOwner,
        generations: Vec<GenerationId>,
        until: DateTime<Utc>,
    ) -> Result<(), PortError> {
        leases::renew(&self.db, owner, generations, until).await
    }

    async fn orphans(
        &self,
        living: LeaseOwner,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Orphan>, PortError> {
        leases::orphans(&self.db, living, now, limit).await
    }

    async fn running(
        &self,
        owner: UserId,
        conversation: ConversationId,
    ) -> Result<Option<GenerationId>, PortError> {
        begin::running(&self.db, owner, conversation).await
    }

    async fn running_of(&self, owner: UserId) -> Result<Vec<Generation>, PortError> {
        let rows = begin::running_of(owner)
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Id)
            .all(self.db.reader())
            .await
            .map_err(database)?;
        Ok(rows.into_iter().map(Generation::from).collect())
    }

    async fn request_cancel(
        &self,
        generation: GenerationId,
        now: DateTime<Utc>,
    ) -> Result<(), PortError> {
        cancel::request(&self.db, generation, now).await
    }

    async fn cancel_requests(&self, owner: LeaseOwner) -> Result<Vec<GenerationId>, PortError> {
        cancel::requests(&self.db, owner).await
    }

    async fn orphan(&self, generation: GenerationId) -> Result<Option<Orphan>, PortError> {
        leases::orphan(&self.db, generation).await
    }

    async fn forget_events(
        &self,
        ended_before: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, PortError> {
        checkpoints::forget(&self.db, ended_before, limit).await
    }

    async fn find(
        &self,
        owner: UserId,
        generation: GenerationId,
    ) -> Result<Option<StoredGeneration>, PortError> {
        let row = without_end(owned_by(owner))
            .filter(Column::Id.eq(generation.as_uuid()))
            .one(self.db.reader())
            .await
            .map_err(database)?;
        row.map(StoredGeneration::try_from).transpose()
    }

    async fn events_after(
        &self,
        generation: GenerationId,
        after: u64,
    ) -> Result<Vec<LoggedEvent>, PortError> {
        checkpoints::events_after(&self.db, generation, after).await
    }

    async fn history(
        &self,
        owner: UserId,
        conversation: ConversationId,
        from: HistoryFrom,
        limit: u32,
    ) -> Result<History, PortError> {
        history::history(&self.db, owner, conversation, from, limit).await
    }
}

/// Every read starts here, so no query can forget whose data it is.
pub(super) fn owned_by(owner: UserId) -> Select<Entity> {
    Entity::find().filter(Column::OwnerId.eq(owner.as_uuid()))
}

/// The same without their terminal events, which are as long as the replies.
pub(super) fn without_end(rows: Select<Entity>) -> Select<Entity> {
    let is_short = |column: &Column| !matches!(column, Column::TerminalEvent);
    rows.select_only()
        .columns(Column::iter().filter(is_short))
        .column_as(Expr::cust("NULL"), Column::TerminalEvent.as_str())
}

/// A stored generation that is over, with its last event; `None` while it runs.
pub(super) fn ended(mut row: Model) -> Result<Option<(Generation, LoggedEvent)>, PortError> {
    let end = (row.last_seq, row.terminal_kind.take(), row.terminal_event.take());
    let terminal = checkpoints::terminal(GenerationId::from_uuid(row.id), end)?;
    Ok(terminal.map(|terminal| (row.into(), terminal)))
}

impl From<Model> for Generation {
    fn from(row: Model) -> Self {
        Self {
            id: GenerationId::from_uuid(row.id),
            owner: UserId::from_uuid(row.owner_id),
            api_key: row.api_key_id.map(ApiKeyId::from_uuid),
            conversation: ConversationId::from_uuid(row.conversation_id),
            user_message: MessageId::from_uuid(row.user_message_id),
            message: MessageId::from_uuid(row.message_id),
            model: row.model,
            created_at: row.created_at,
        }
    }
}

impl TryFrom<Model> for StoredGeneration {
    type Error = PortError;

    fn try_from(row: Model) -> Result<Self, PortError> {
        Ok(Self {
            state: parsed(&row.state)?,
            attempts: number(row.attempts)?,
            last_seq: row.last_seq.map(number).transpose()?,
            ended_at: row.ended_at,
            generation: row.into(),
        })
    }
}
