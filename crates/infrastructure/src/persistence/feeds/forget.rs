//! Old changes are forgotten, and who asks for them later is told so.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use repartee_application::ports::PortError;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    sea_query::Expr,
};
use uuid::Uuid;

use crate::persistence::{
    Database,
    entity::{
        feed,
        feed_event::{Column, Entity},
    },
    error::database,
};

pub(super) async fn forget(
    db: &Database,
    before: DateTime<Utc>,
    limit: u32,
) -> Result<u64, PortError> {
    let oldest: Vec<(Uuid, i64)> = Entity::find()
        .select_only()
        .columns([Column::OwnerId, Column::Seq])
        .filter(Column::CreatedAt.lt(before))
        .order_by_asc(Column::CreatedAt)
        .limit(u64::from(limit))
        .into_tuple()
        .all(db.reader())
        .await
        .map_err(database)?;
    let mut newest = HashMap::new();
    for (owner, seq) in &oldest {
        let newest = newest.entry(*owner).or_insert(*seq);
        *newest = (*newest).max(*seq);
    }
    for (owner, newest) in newest {
        forget_to(db, owner, newest).await?;
    }
    Ok(oldest.len() as u64)
}

/// A transaction for each user, which keeps nobody else waiting. Numbers follow time closely, but
/// not exactly: what has a smaller number goes too.
async fn forget_to(db: &Database, owner: Uuid, seq: i64) -> Result<(), PortError> {
    let move_on = feed::Entity::update_many()
        .col_expr(feed::Column::ForgottenTo, Expr::value(seq))
        .filter(feed::Column::OwnerId.eq(owner))
        .filter(feed::Column::ForgottenTo.lt(seq));
    let delete =
        Entity::delete_many().filter(Column::OwnerId.eq(owner)).filter(Column::Seq.lte(seq));
    db.write(move |tx| {
        Box::pin(async move {
            let backend = tx.get_database_backend();
            let statements = vec![move_on.build(backend), delete.build(backend)];
            tx.execute_all(statements).await.map(drop).map_err(database)
        })
    })
    .await
}
