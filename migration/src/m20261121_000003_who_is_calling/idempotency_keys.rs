//! Keys of requests that made something else than a message.

use sea_orm_migration::{prelude::*, schema::uuid_null};

const IDEMPOTENCY_KEYS: &str = "idempotency_keys";
const RESOURCE_ID: &str = "resource_id";

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    // What was made. No foreign key: the route says what it is.
    let column = uuid_null(RESOURCE_ID);
    manager.alter_table(Table::alter().table(IDEMPOTENCY_KEYS).add_column(column).take()).await
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    // Without it, the key says nothing.
    let delete = format!("DELETE FROM {IDEMPOTENCY_KEYS} WHERE {RESOURCE_ID} IS NOT NULL");
    manager.get_connection().execute_unprepared(&delete).await?;
    let drop = Table::alter().table(IDEMPOTENCY_KEYS).drop_column(RESOURCE_ID).take();
    manager.alter_table(drop).await
}
