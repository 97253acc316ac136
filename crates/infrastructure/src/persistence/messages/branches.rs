//! The branches of a conversation.

use repartee_application::ports::{ConversationReference, HistoryFrom, PortError};
use repartee_domain::{ConversationId, MessageId, Reference, conversations::Branching};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, Value,
    sea_query::{Condition, SimpleExpr},
};

use crate::persistence::{
    Transaction,
    batch::{Batch, condition, statement},
    entity::conversation,
    error::database,
};

const LINEAR: &str = "(SELECT NOT is_branched FROM conversations WHERE id = ?)";
const LINEAR_OF_CODE: &str = "(SELECT NOT is_branched FROM conversations WHERE code = ?)";
const NEWEST: &str = "SELECT id FROM messages WHERE conversation_id = ? ORDER BY id DESC LIMIT 1";
const NEWEST_OF_CODE: &str = "SELECT id FROM messages WHERE conversation_id = \
    (SELECT id FROM conversations WHERE code = ?) ORDER BY id DESC LIMIT 1";
const THIS: &str = "SELECT id FROM messages WHERE id = ?";
const PARENT: &str = "SELECT parent_id FROM messages WHERE id = ?";
/// A message, what it follows, what that follows, and so on.
const UP: &str = "up(id, parent_id, depth) AS (\
    SELECT messages.id, parent_id, 1 FROM messages JOIN start ON start.id = messages.id \
    UNION ALL SELECT parent.id, parent.parent_id, depth + 1 \
    FROM messages AS parent JOIN up ON up.parent_id = parent.id WHERE depth < ?)";
/// A message, the newest of what follows it, the newest of what follows that, and so on.
const DOWN: &str = "down(id) AS (SELECT id FROM start UNION ALL SELECT (\
    SELECT child.id FROM messages AS child WHERE child.parent_id = down.id \
    ORDER BY child.id DESC LIMIT 1) FROM down WHERE down.id IS NOT NULL)";
/// Only for what has none: of a reply it is the question.
const THREAD: &str = "UPDATE messages SET parent_id = (SELECT before.id FROM messages AS before \
    WHERE before.conversation_id = messages.conversation_id AND before.id < messages.id \
    ORDER BY before.id DESC LIMIT 1) WHERE conversation_id = ? AND parent_id IS NULL";

/// A message by which a branch is found.
pub(super) enum Start {
    Newest(ConversationReference),
    At(MessageId),
}

impl Start {
    fn sql(&self) -> (&'static str, Value) {
        match self {
            Self::Newest(Reference::Id(id)) => (NEWEST, id.as_uuid().into()),
            Self::Newest(Reference::Code(code)) => (NEWEST_OF_CODE, code.as_str().into()),
            Self::At(id) => (THIS, id.as_uuid().into()),
        }
    }
}

/// That a message is in the branch through `start`, in a conversation that has branches. Before
/// `start` at most so many are.
pub(super) fn in_branch(backend: DbBackend, start: &Start, most: i64) -> Condition {
    let (sql, value) = start.sql();
    let sql = format!(
        "WITH RECURSIVE start(id) AS (SELECT ({sql})), {UP}, {DOWN} \
         SELECT id FROM up UNION ALL SELECT id FROM down WHERE id IS NOT NULL"
    );
    among(backend, &sql, value, most)
}

/// That a message is in the branch that ends at a place, one of its newest, in a conversation that
/// has branches.
pub(in crate::persistence) fn in_past(
    backend: DbBackend,
    conversation: ConversationId,
    from: HistoryFrom,
    most: i64,
) -> Condition {
    let (sql, id) = match from {
        // Where clocks differ, something older may follow the newest.
        HistoryFrom::End => return in_branch(backend, &Start::Newest(conversation.into()), most),
        HistoryFrom::At(id) => (THIS, id),
        HistoryFrom::Before(id) => (PARENT, id),
    };
    let sql = format!("WITH RECURSIVE start(id) AS (SELECT ({sql})), {UP} SELECT id FROM up");
    among(backend, &sql, id.as_uuid().into(), most)
}

fn among(backend: DbBackend, ids: &str, start: Value, most: i64) -> Condition {
    let ids = condition(backend, &format!("messages.id IN ({ids})"), [start, most.into()]);
    Condition::all().add(conversation::Column::IsBranched.eq(true)).add(ids)
}

/// That a conversation has no branches: asked once, before any message is looked at.
pub(in crate::persistence) fn is_linear(
    backend: DbBackend,
    conversation: ConversationReference,
) -> SimpleExpr {
    match conversation {
        Reference::Id(id) => condition(backend, LINEAR, [id.as_uuid().into()]),
        Reference::Code(code) => condition(backend, LINEAR_OF_CODE, [code.as_str().into()]),
    }
}

/// Makes the messages of a conversation a tree where `branching` says so. What `batch` has so far
/// locks the owner's row in `feeds`: nobody adds a message meanwhile.
pub(in crate::persistence) async fn threaded(
    tx: &Transaction,
    batch: Batch,
    conversation: ConversationId,
    branching: Branching,
) -> Result<Batch, PortError> {
    if branching != Branching::First {
        return Ok(batch);
    }
    if !batch.run(tx).await.map_err(database)? {
        return Err(PortError::Stale);
    }
    let thread = statement(tx.get_database_backend(), THREAD, [conversation.as_uuid().into()]);
    tx.execute_raw(thread).await.map_err(database)?;
    Ok(Batch::new(tx))
}
