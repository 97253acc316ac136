//! Word for the process that writes a reply: it has to stop.

use chrono::{DateTime, Utc};
use repartee_application::ports::{LeaseOwner, PortError};
use repartee_domain::GenerationId;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};
use uuid::Uuid;

use crate::persistence::{
    Database,
    entity::generation::{Column, Entity},
    error::database,
};

pub(super) async fn request(
    db: &Database,
    generation: GenerationId,
    now: DateTime<Utc>,
) -> Result<(), PortError> {
    let request = Entity::update_many()
        .col_expr(Column::CancelRequestedAt, Expr::value(now))
        .filter(Column::Id.eq(generation.as_uuid()))
        .filter(Column::EndedAt.is_null())
        .filter(Column::CancelRequestedAt.is_null());
    db.write(move |tx| Box::pin(async move { request.exec(tx).await.map(drop).map_err(database) }))
        .await
}

pub(super) async fn requests(
    db: &Database,
    owner: LeaseOwner,
) -> Result<Vec<GenerationId>, PortError> {
    let ids: Vec<Uuid> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::LeaseOwner.eq(owner.0))
        .filter(Column::CancelRequestedAt.is_not_null())
        .filter(Column::EndedAt.is_null())
        .into_tuple()
        .all(db.reader())
        .await
        .map_err(database)?;
    Ok(ids.into_iter().map(GenerationId::from_uuid).collect())
}
