//! Reading the audit log and keeping its chain.

use async_trait::async_trait;
use chrono::NaiveDate;
use repartee_application::{
    Page, PageRequest,
    audit::{ChainHash, Head, SealedEntry},
    ports::{Anchor, AuditFilter, AuditKey, AuditLog, PortError, RecordedEntry},
};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::OnConflict,
};

use super::{chain, list};
use crate::persistence::{
    Database,
    entity::{
        audit_anchor::{Column as AnchorColumn, Entity as Anchors, Model as AnchorRow},
        audit_log::{Column, Entity},
    },
    error::database,
    stored::{corrupt, number, parsed},
};

pub struct SeaAuditLog {
    db: Database,
}

impl SeaAuditLog {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl AuditLog for SeaAuditLog {
    async fn list(
        &self,
        filter: AuditFilter,
        page: PageRequest<AuditKey>,
    ) -> Result<Page<RecordedEntry, AuditKey>, PortError> {
        list::page(self.db.reader(), filter, page).await
    }

    async fn seal(&self, limit: u32) -> Result<u64, PortError> {
        let unsealed = Entity::find().select_only().column(Column::Id);
        let unsealed = unsealed.filter(Column::Position.is_null()).limit(1).into_tuple::<i64>();
        // Mostly there is nothing to do: nobody is made to wait for that.
        if unsealed.one(self.db.reader()).await.map_err(database)?.is_none() {
            return Ok(0);
        }
        self.db.write(move |tx| Box::pin(chain::seal(tx, limit))).await
    }

    async fn head(&self) -> Result<Head, PortError> {
        chain::head(self.db.reader()).await
    }

    async fn sealed(&self, after: u64, limit: u32) -> Result<Vec<SealedEntry>, PortError> {
        // From the beginning, also what no place could be is found.
        let sealed = match after {
            0 => Column::Position.is_not_null(),
            after => Column::Position.gt(stored_position(after)),
        };
        let rows = Entity::find()
            .filter(sealed)
            .order_by_asc(Column::Position)
            .limit(u64::from(limit))
            .all(self.db.reader())
            .await
            .map_err(database)?;
        rows.into_iter().map(SealedEntry::try_from).collect()
    }

    async fn keep_anchor(&self, anchor: Anchor) -> Result<(), PortError> {
        let row = AnchorRow {
            day: anchor.day.to_string(),
            position: stored_position(anchor.head.position),
            hash: anchor.head.hash.0.to_vec(),
            at: anchor.at,
        };
        let kept_before = OnConflict::column(AnchorColumn::Day).do_nothing().to_owned();
        let insert = Anchors::insert(row.into_active_model()).on_conflict(kept_before);
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    insert.exec_without_returning(tx).await.map(drop).map_err(database)
                })
            })
            .await
    }

    async fn last_anchor(&self) -> Result<Option<Anchor>, PortError> {
        let row = Anchors::find()
            .order_by_desc(AnchorColumn::Day)
            .one(self.db.reader())
            .await
            .map_err(database)?;
        row.map(Anchor::try_from).transpose()
    }

    async fn anchors(&self, first: u64, last: u64) -> Result<Vec<Anchor>, PortError> {
        let places = stored_position(first)..=stored_position(last);
        let rows = Anchors::find()
            .filter(AnchorColumn::Position.between(*places.start(), *places.end()))
            .order_by_asc(AnchorColumn::Position)
            .order_by_asc(AnchorColumn::Day)
            .all(self.db.reader())
            .await
            .map_err(database)?;
        rows.into_iter().map(Anchor::try_from).collect()
    }
}

fn stored_position(position: u64) -> i64 {
    position.try_into().unwrap_or(i64::MAX)
}

impl TryFrom<AnchorRow> for Anchor {
    type Error = PortError;

    fn try_from(row: AnchorRow) -> Result<Self, PortError> {
        let hash = ChainHash::from_slice(&row.hash).ok_or_else(|| corrupt("not a SHA-256"))?;
        let head = Head { position: number(row.position)?, hash };
        Ok(Self { day: parsed::<NaiveDate>(&row.day)?, head, at: row.at })
    }
}
