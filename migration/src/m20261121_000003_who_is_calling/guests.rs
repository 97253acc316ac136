//! Conversations of guests: known by a random id that is stored hashed, and kept for a while.

use sea_orm_migration::{prelude::*, schema::blob_null};

use crate::table::{index, unique};

const CONVERSATIONS: &str = "conversations";
const GUEST_KEY_HASH: &str = "guest_key_hash";
const EXPIRES_AT: &str = "expires_at";

pub(super) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    // SHA-256.
    let column = blob_null(GUEST_KEY_HASH);
    manager.alter_table(Table::alter().table(CONVERSATIONS).add_column(column).take()).await?;
    manager.create_index(unique(CONVERSATIONS, &[GUEST_KEY_HASH])).await?;
    manager.create_index(expiring()).await
}

pub(super) async fn down(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for name in ["conversations_expires_at_idx", "conversations_guest_key_hash_key"] {
        manager.drop_index(Index::drop().name(name).table(CONVERSATIONS).to_owned()).await?;
    }
    let drop = Table::alter().table(CONVERSATIONS).drop_column(GUEST_KEY_HASH).take();
    manager.alter_table(drop).await
}

fn expiring() -> IndexCreateStatement {
    index(CONVERSATIONS, &[EXPIRES_AT]).and_where(Expr::col(EXPIRES_AT).is_not_null()).take()
}
