//! What messages and titles are found by.
//!
//! Rows say of themselves that they are not indexed yet, those that were there before among them.

use sea_orm_migration::{
    prelude::*,
    schema::{pk_auto, uuid, uuid_null},
    sea_orm::DbBackend,
};

use crate::table::{drop_all, index, reference, unique};

const DOCUMENTS: &str = "search_documents";

/// `indexed_title` is the title that the index has; a reply is indexed once it has ended.
const MARKS: [&str; 4] = [
    "ALTER TABLE messages ADD COLUMN is_indexed BOOLEAN NOT NULL DEFAULT FALSE",
    "ALTER TABLE conversations ADD COLUMN indexed_title TEXT",
    "CREATE INDEX messages_unindexed_idx ON messages (id) \
     WHERE NOT is_indexed AND status <> 'streaming'",
    "CREATE INDEX conversations_unindexed_idx ON conversations (id) \
     WHERE title IS DISTINCT FROM indexed_title",
];
const NO_MARKS: [&str; 4] = [
    "DROP INDEX conversations_unindexed_idx",
    "DROP INDEX messages_unindexed_idx",
    "ALTER TABLE conversations DROP COLUMN indexed_title",
    "ALTER TABLE messages DROP COLUMN is_indexed",
];
/// Terms are separated by spaces and hold no other ASCII than letters and digits; the texts
/// themselves stay where they are.
const SQLITE: [&str; 2] = [
    "CREATE VIRTUAL TABLE search_terms USING fts5(\
     terms, content='', contentless_delete=1, tokenize='ascii')",
    "CREATE TRIGGER search_documents_deleted AFTER DELETE ON search_documents \
     BEGIN DELETE FROM search_terms WHERE rowid = OLD.id; END",
];
/// Every search reads what is pending, so that it must not be much.
const POSTGRES: [&str; 2] = [
    "ALTER TABLE search_documents ADD COLUMN terms TSVECTOR NOT NULL",
    "CREATE INDEX search_documents_terms_idx ON search_documents USING gin (terms) \
     WITH (gin_pending_list_limit = 256)",
];

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        execute(manager, &MARKS).await?;
        manager.create_table(documents()).await?;
        manager.create_index(unique(DOCUMENTS, &["message_id"])).await?;
        manager.create_index(index(DOCUMENTS, &["conversation_id"])).await?;
        manager.create_index(titles()).await?;
        match manager.get_database_backend() {
            DbBackend::Sqlite => execute(manager, &SQLITE).await,
            _ => execute(manager, &POSTGRES).await,
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_all(manager, &[DOCUMENTS]).await?;
        if manager.get_database_backend() == DbBackend::Sqlite {
            drop_all(manager, &["search_terms"]).await?;
        }
        execute(manager, &NO_MARKS).await
    }

    /// On SQLite too: a start that was cut off leaves nothing half done.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// A message, or, where it has none, the title of a conversation. Newer ones have higher ids.
fn documents() -> TableCreateStatement {
    let cascade = ForeignKeyAction::Cascade;
    Table::create()
        .table(DOCUMENTS)
        .col(pk_auto("id").big_integer())
        .col(uuid("conversation_id"))
        .col(uuid_null("message_id"))
        .foreign_key(&mut reference(DOCUMENTS, "conversation_id", "conversations", cascade))
        .foreign_key(&mut reference(DOCUMENTS, "message_id", "messages", cascade))
        .take()
}

fn titles() -> IndexCreateStatement {
    unique(DOCUMENTS, &["conversation_id"]).and_where(Expr::col("message_id").is_null()).take()
}

async fn execute(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for sql in statements {
        manager.get_connection().execute_unprepared(sql).await?;
    }
    Ok(())
}
