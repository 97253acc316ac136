//! A page of a user's changes, as what they point at is now.

use std::collections::HashMap;

use repartee_application::ports::{
    Change, ChangeKind, Changes, LoggedEvent, PortError, StoredChange,
};
use repartee_domain::{
    ConversationId, UserId, conversations::Conversation, messages::Message, replies::Generation,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, Select, Statement,
};
use uuid::Uuid;

use crate::persistence::{
    Database,
    batch::statement,
    conversations,
    entity::{conversation, generation, message},
    error::database,
    messages,
    stored::{corrupt, number},
    turns,
};

/// One statement, which sees one state of the database: no change is missed because it was
/// forgotten between two of them. Whoever raised `last_seq` has committed the changes up to it.
const BEFORE: &str = "SELECT last_seq, forgotten_to, seq, kind, conversation_id, message_id, \
    generation_id, bytes FROM feeds LEFT JOIN (SELECT seq, kind, conversation_id, message_id, \
    generation_id, CAST(CASE \
    WHEN kind = 'message.created' THEN (SELECT octet_length(content) FROM messages \
    WHERE id = feed_events.message_id) \
    WHEN kind = 'generation.ended' THEN (SELECT octet_length(terminal_event) FROM generations \
    WHERE id = feed_events.generation_id) \
    ELSE (SELECT COALESCE(octet_length(system_message), 0) + COALESCE(octet_length(metadata), 0) \
    FROM conversations WHERE id = feed_events.conversation_id) \
    END AS BIGINT) AS bytes FROM feed_events WHERE owner_id = ? AND seq > ?";
const AFTER: &str = "ORDER BY seq LIMIT ?) AS event ON TRUE WHERE owner_id = ? ORDER BY seq";

/// Of texts in a page, unless its first change has more: what each open feed may hold at a time.
/// The longest of texts are replies, of which a model's `max_output_tokens` makes about 1 MiB at
/// most.
const MOST_BYTES: i64 = 512 * 1024;

/// The user's feed, and one of its changes where there is any.
#[derive(FromQueryResult)]
struct Row {
    last_seq: i64,
    forgotten_to: i64,
    seq: Option<i64>,
    kind: Option<String>,
    conversation_id: Option<Uuid>,
    message_id: Option<Uuid>,
    generation_id: Option<Uuid>,
    /// The length of what it points at; `None` where that is gone.
    bytes: Option<i64>,
}

/// What the changes of a page point at, as far as it is there and can be read.
struct Targets {
    conversations: HashMap<Uuid, Conversation>,
    messages: HashMap<Uuid, Message>,
    started: HashMap<Uuid, Generation>,
    ended: HashMap<Uuid, (Generation, LoggedEvent)>,
}

pub(super) async fn after(
    db: &Database,
    owner: UserId,
    conversation: Option<ConversationId>,
    after: u64,
    limit: u32,
) -> Result<Option<Changes>, PortError> {
    let nothing = Changes { changes: Vec::new(), read_to: after, has_more: false };
    // No number is that high.
    let Ok(stored_after) = i64::try_from(after) else { return Ok(None) };
    let page = page(db, owner, conversation, stored_after, i64::from(limit) + 1);
    let mut rows = Row::find_by_statement(page).all(db.reader()).await.map_err(database)?;
    let Some(Row { last_seq, forgotten_to, .. }) = rows.first() else {
        // A user who was never told anything.
        return Ok((after == 0).then_some(nothing));
    };
    if stored_after < *forgotten_to || stored_after > *last_seq {
        return Ok(None);
    }
    let mut read_to = number(*last_seq)?;
    rows.retain(|row| row.seq.is_some());
    let count = fitting(&rows, limit as usize);
    let has_more = rows.len() > count;
    if has_more {
        rows.truncate(count);
        read_to = rows.last().and_then(|row| row.seq).map_or(Ok(after), number)?;
    }
    let mut targets = Targets::of(db, owner, &rows).await?;
    let changes = rows.iter().map(|row| targets.change(row));
    let changes = changes.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    Ok(Some(Changes { changes, read_to, has_more }))
}

/// How many of the rows make a page: one at least.
fn fitting(rows: &[Row], limit: usize) -> usize {
    let mut bytes = 0;
    let fit = rows.iter().take_while(|row| {
        bytes += row.bytes.unwrap_or_default();
        bytes <= MOST_BYTES
    });
    fit.count().max(1).min(limit)
}

fn page(
    db: &Database,
    owner: UserId,
    conversation: Option<ConversationId>,
    after: i64,
    rows: i64,
) -> Statement {
    let owner = owner.as_uuid();
    let mut values = vec![owner.into(), after.into()];
    let of_conversation = match conversation {
        Some(conversation) => {
            values.push(conversation.as_uuid().into());
            "AND conversation_id = ?"
        }
        None => "",
    };
    values.extend([rows.into(), owner.into()]);
    let sql = format!("{BEFORE} {of_conversation} {AFTER}");
    statement(db.reader().get_database_backend(), &sql, values)
}

impl Targets {
    /// Four queries at most, however long the page is.
    async fn of(db: &Database, owner: UserId, rows: &[Row]) -> Result<Self, PortError> {
        let mut of_conversations = Vec::new();
        let mut of_messages = Vec::new();
        let mut of_started = Vec::new();
        let mut of_ended = Vec::new();
        for row in rows {
            match row.kind() {
                Some(
                    ChangeKind::ConversationCreated
                    | ChangeKind::ConversationUpdated
                    | ChangeKind::ConversationArchived,
                ) => of_conversations.extend(row.conversation_id),
                Some(ChangeKind::MessageCreated) => of_messages.extend(row.message_id),
                Some(ChangeKind::GenerationStarted) => of_started.extend(row.generation_id),
                Some(ChangeKind::GenerationEnded) => of_ended.extend(row.generation_id),
                Some(ChangeKind::ConversationDeleted | ChangeKind::SessionEnded) | None => {}
            }
        }
        let found = conversations::owned_by(owner);
        let found = rows_of(db, found, conversation::Column::Id, of_conversations).await?;
        let conversations = readable(found, |row| (row.id, row.try_into().map(Some)));
        let found = messages::owned_by(owner);
        let found = rows_of(db, found, message::Column::Id, of_messages).await?;
        let messages = readable(found, |row| (row.id, row.try_into().map(Some)));
        let found = turns::without_end(turns::owned_by(owner));
        let found = rows_of(db, found, generation::Column::Id, of_started).await?;
        let started = found.into_iter().map(|row| (row.id, row.into())).collect();
        let found = turns::owned_by(owner);
        let found = rows_of(db, found, generation::Column::Id, of_ended).await?;
        let ended = readable(found, |row| (row.id, turns::ended(row)));
        Ok(Self { conversations, messages, started, ended })
    }

    /// `None` for what is gone, and for what only a newer version of this program tells. Of a
    /// conversation there may be many changes; the rest is told once, and moves.
    fn change(&mut self, row: &Row) -> Result<Option<StoredChange>, PortError> {
        let Some(kind) = row.kind() else { return Ok(None) };
        let conversation =
            || Some(Box::new(self.conversations.get(&row.conversation_id?)?.clone()));
        let change = match kind {
            ChangeKind::ConversationCreated => conversation().map(Change::ConversationCreated),
            ChangeKind::ConversationUpdated => conversation().map(Change::ConversationUpdated),
            ChangeKind::ConversationArchived => conversation().map(Change::ConversationArchived),
            ChangeKind::ConversationDeleted => Some(Change::ConversationDeleted),
            ChangeKind::MessageCreated => {
                let message = row.message_id.and_then(|id| self.messages.remove(&id));
                message.map(|message| Change::MessageCreated(Box::new(message)))
            }
            ChangeKind::GenerationStarted => {
                let started = row.generation_id.and_then(|id| self.started.remove(&id));
                started.map(|generation| Change::GenerationStarted(Box::new(generation)))
            }
            ChangeKind::GenerationEnded => {
                let ended = row.generation_id.and_then(|id| self.ended.remove(&id));
                ended.map(|(generation, end)| Change::GenerationEnded(Box::new(generation), end))
            }
            ChangeKind::SessionEnded => Some(Change::SessionEnded),
        };
        let Some(change) = change else { return Ok(None) };
        let seq = row.seq.ok_or_else(|| corrupt("a change without a number"))?;
        let conversation = row.conversation_id.map(ConversationId::from_uuid);
        Ok(Some(StoredChange { seq: number(seq)?, conversation, change }))
    }
}

impl Row {
    fn kind(&self) -> Option<ChangeKind> {
        ChangeKind::from_name(self.kind.as_deref()?)
    }
}

async fn rows_of<E>(
    db: &Database,
    rows: Select<E>,
    id: E::Column,
    mut ids: Vec<Uuid>,
) -> Result<Vec<E::Model>, PortError>
where
    E: EntityTrait,
{
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    ids.sort_unstable();
    ids.dedup();
    rows.filter(id.is_in(ids)).all(db.reader()).await.map_err(database)
}

/// What cannot be read is as good as gone: a newer version of this program may have stored it, and
/// the feed goes on.
fn readable<R, T>(
    rows: Vec<R>,
    read: impl Fn(R) -> (Uuid, Result<Option<T>, PortError>),
) -> HashMap<Uuid, T> {
    let targets = rows.into_iter().filter_map(|row| match read(row) {
        (id, Ok(target)) => Some((id, target?)),
        (id, Err(error)) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(%id, error, "a change is not told: what it points at cannot be read");
            None
        }
    });
    targets.collect()
}
