//! What users think of replies.

use repartee_application::ports::PortError;
use repartee_domain::{MessageId, UserId, messages::Feedback};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, sea_query::OnConflict,
};

use super::{
    super::{
        Database,
        entity::{
            message,
            message_feedback::{Column, Entity, Model},
        },
        error::database,
        stored::parsed,
    },
    owned_by,
};

/// `false` where the owner has no such message.
pub(super) async fn rate(
    db: &Database,
    owner: UserId,
    message: MessageId,
    feedback: Option<Feedback>,
) -> Result<bool, PortError> {
    let id = message.as_uuid();
    db.write(move |tx| {
        Box::pin(async move {
            let own = owned_by(owner).filter(message::Column::Id.eq(id)).count(tx).await;
            if own.map_err(database)? == 0 {
                return Ok(false);
            }
            let Some(Feedback { rating, comment, at }) = feedback else {
                Entity::delete_by_id(id).exec(tx).await.map_err(database)?;
                return Ok(true);
            };
            let rating = rating.as_str().to_owned();
            let row = Model { message_id: id, rating, comment, given_at: at };
            let instead = OnConflict::column(Column::MessageId)
                .update_columns([Column::Rating, Column::Comment, Column::GivenAt])
                .to_owned();
            let insert = Entity::insert(row.into_active_model()).on_conflict(instead);
            insert.exec_without_returning(tx).await.map_err(database)?;
            Ok(true)
        })
    })
    .await
}

impl TryFrom<Model> for Feedback {
    type Error = PortError;

    fn try_from(row: Model) -> Result<Self, PortError> {
        Ok(Self { rating: parsed(&row.rating)?, comment: row.comment, at: row.given_at })
    }
}
