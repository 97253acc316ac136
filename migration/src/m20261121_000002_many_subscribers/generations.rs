//! Replies that may be cancelled from anywhere, and counted for each user.

use sea_orm_migration::{prelude::*, schema::timestamp_with_time_zone_null};

use crate::table::index;

const GENERATIONS: &str = "generations";
const CANCEL_REQUESTED_AT: &str = "cancel_requested_at";
const CANCEL_REQUESTS: &str = "generations_lease_owner_cancel_requested_idx";
const RUNNING: &str = "generations_owner_id_running_idx";

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let column = timestamp_with_time_zone_null(CANCEL_REQUESTED_AT);
    let add = Table::alter().table(GENERATIONS).add_column(column).take();
    manager.alter_table(add).await?;
    manager.create_index(cancel_requests()).await?;
    manager.create_index(running()).await
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for name in [RUNNING, CANCEL_REQUESTS] {
        manager.drop_index(Index::drop().name(name).table(GENERATIONS).to_owned()).await?;
    }
    let drop = Table::alter().table(GENERATIONS).drop_column(CANCEL_REQUESTED_AT).take();
    manager.alter_table(drop).await
}

/// What a process that writes replies is asked to stop: almost always nothing.
fn cancel_requests() -> IndexCreateStatement {
    index(GENERATIONS, &["lease_owner"])
        .name(CANCEL_REQUESTS)
        .and_where(Expr::col(CANCEL_REQUESTED_AT).is_not_null())
        .and_where(Expr::col("ended_at").is_null())
        .take()
}

/// A user's running replies. The foreign key keeps its own index, which has all of them.
fn running() -> IndexCreateStatement {
    index(GENERATIONS, &["owner_id"])
        .name(RUNNING)
        .and_where(Expr::col("ended_at").is_null())
        .take()
}
