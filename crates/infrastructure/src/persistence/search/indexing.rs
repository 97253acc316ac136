//! Indexing what is not indexed yet.

use std::collections::HashSet;

use repartee_application::ports::PortError;
use repartee_domain::{ConversationId, UserId};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, Value};
use uuid::Uuid;

use super::expression::{Kind, document};
use crate::persistence::{Database, Transaction, batch::statement, error::database};

/// Read outside of the transaction: making terms of long texts takes a while.
const MESSAGES: &str = "SELECT messages.id, conversation_id, owner_id, content AS text \
    FROM messages JOIN conversations ON conversations.id = conversation_id \
    WHERE NOT is_indexed AND messages.status <> 'streaming' ORDER BY messages.id LIMIT ?";
/// What is still there, and is indexed by nobody else.
const STILL: &str = "SELECT messages.id FROM messages \
    JOIN conversations ON conversations.id = conversation_id WHERE NOT is_indexed AND messages.id IN";
/// Nothing waits for what is being deleted, or indexed, nor does that wait for this.
const LOCKED: &str =
    "FOR UPDATE OF messages SKIP LOCKED FOR KEY SHARE OF conversations SKIP LOCKED";
const INDEXED: &str = "UPDATE messages SET is_indexed = TRUE WHERE id IN";

const TITLES: &str = "SELECT id, id AS conversation_id, owner_id, title AS text FROM conversations \
    WHERE title IS DISTINCT FROM indexed_title ORDER BY id LIMIT ?";
const LOCKED_TITLES: &str = "FOR NO KEY UPDATE SKIP LOCKED";
const OLD_TITLE: &str =
    "DELETE FROM search_documents WHERE conversation_id = ? AND message_id IS NULL";
const INDEXED_TITLE: &str = "UPDATE conversations SET indexed_title = title WHERE id = ?";

const DOCUMENT_ON_SQLITE: &str =
    "INSERT INTO search_documents (conversation_id, message_id) VALUES (?, ?)";
const TERMS_ON_SQLITE: &str =
    "INSERT INTO search_terms (rowid, terms) VALUES (last_insert_rowid(), ?)";
const DOCUMENT_ON_POSTGRES: &str = "INSERT INTO search_documents (conversation_id, message_id, terms) \
    VALUES (?, ?, CAST(? AS tsvector))";

#[derive(FromQueryResult)]
struct Row {
    id: Uuid,
    conversation_id: Uuid,
    owner_id: Uuid,
    /// `None` where there is no title any more.
    text: Option<String>,
}

struct Document {
    conversation: Uuid,
    message: Option<Uuid>,
    terms: Option<String>,
}

pub(super) async fn messages(db: &Database, limit: u32) -> Result<u64, PortError> {
    let rows = unindexed(db.reader(), MESSAGES, "", limit).await?;
    let backend = db.reader().get_database_backend();
    if rows.is_empty() {
        return Ok(0);
    }
    let making = tokio::task::spawn_blocking(move || {
        let documents = rows.into_iter().map(|row| Document {
            message: Some(row.id),
            ..row.into_document(backend, Kind::Message)
        });
        documents.collect::<Vec<_>>()
    });
    let documents = making.await.map_err(|error| PortError::Unavailable(error.into()))?;
    db.write(move |tx| Box::pin(async move { store(tx, documents).await })).await
}

pub(super) async fn titles(db: &Database, limit: u32) -> Result<u64, PortError> {
    // Mostly there is nothing to do: nobody is made to wait for that.
    if unindexed(db.reader(), TITLES, "", 1).await?.is_empty() {
        return Ok(0);
    }
    db.write(move |tx| Box::pin(async move { store_titles(tx, limit).await })).await
}

async fn unindexed(
    connection: &impl ConnectionTrait,
    sql: &str,
    lock: &str,
    limit: u32,
) -> Result<Vec<Row>, PortError> {
    let backend = connection.get_database_backend();
    let lock = if backend == DbBackend::Postgres { lock } else { "" };
    let rows = statement(backend, &format!("{sql} {lock}"), [i64::from(limit).into()]);
    let rows = connection.query_all_raw(rows).await.map_err(database)?;
    rows.iter().map(|row| Row::from_query_result(row, "").map_err(database)).collect()
}

/// Gives how many there were that nobody else was at.
async fn store(tx: &Transaction, documents: Vec<Document>) -> Result<u64, PortError> {
    let ids: Vec<Uuid> = documents.iter().filter_map(|document| document.message).collect();
    let lock = if tx.get_database_backend() == DbBackend::Postgres { LOCKED } else { "" };
    let still = tx.query_all_raw(among(tx, STILL, &ids, lock)).await.map_err(database)?;
    let still = still.iter().map(|row| row.try_get_by_index::<Uuid>(0));
    let still = still.collect::<Result<HashSet<_>, _>>().map_err(database)?;
    if still.is_empty() {
        return Ok(0);
    }
    for document in documents {
        if document.message.is_some_and(|id| still.contains(&id)) {
            document.insert(tx).await?;
        }
    }
    let still: Vec<Uuid> = still.into_iter().collect();
    let indexed = tx.execute_raw(among(tx, INDEXED, &still, "")).await.map_err(database)?;
    Ok(indexed.rows_affected())
}

async fn store_titles(tx: &Transaction, limit: u32) -> Result<u64, PortError> {
    let backend = tx.get_database_backend();
    let rows = unindexed(tx, TITLES, LOCKED_TITLES, limit).await?;
    let count = rows.len() as u64;
    for row in rows {
        let of_it = |sql| statement(backend, sql, [row.id.into()]);
        let before = vec![of_it(OLD_TITLE), of_it(INDEXED_TITLE)];
        tx.execute_all(before).await.map_err(database)?;
        row.into_document(backend, Kind::Title).insert(tx).await?;
    }
    Ok(count)
}

/// A statement with a list of ids.
fn among(tx: &Transaction, sql: &str, ids: &[Uuid], rest: &str) -> Statement {
    let places = vec!["?"; ids.len()].join(", ");
    let values = ids.iter().map(|id| Value::from(*id));
    statement(tx.get_database_backend(), &format!("{sql} ({places}) {rest}"), values)
}

impl Row {
    fn into_document(self, backend: DbBackend, kind: Kind) -> Document {
        let owner = UserId::from_uuid(self.owner_id);
        let conversation = ConversationId::from_uuid(self.conversation_id);
        let text = self.text.unwrap_or_default();
        Document {
            conversation: self.conversation_id,
            message: None,
            terms: document(backend, owner, kind, conversation, &text),
        }
    }
}

impl Document {
    async fn insert(self, tx: &Transaction) -> Result<(), PortError> {
        let Some(terms) = self.terms else { return Ok(()) };
        let backend = tx.get_database_backend();
        let (conversation, message, terms) =
            (self.conversation.into(), self.message.into(), terms.into());
        let statements = match backend {
            DbBackend::Sqlite => vec![
                statement(backend, DOCUMENT_ON_SQLITE, [conversation, message]),
                statement(backend, TERMS_ON_SQLITE, [terms]),
            ],
            _ => vec![statement(backend, DOCUMENT_ON_POSTGRES, [conversation, message, terms])],
        };
        tx.execute_all(statements).await.map(drop).map_err(database)
    }
}
