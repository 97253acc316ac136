//! Changes are stored in the commits that make them.
//!
//! The first statement of each such transaction raises the counter in the user's `feeds` row, and
//! so locks that row until the commit: a user's changes are committed in the order of their
//! numbers, so that whoever reads a number finds everything up to it. As everybody who writes
//! what is a user's locks this row before any other, two of them never wait for each other.

use chrono::{DateTime, Utc};
use repartee_application::ports::ChangeKind;
use repartee_domain::{ConversationId, GenerationId, MessageId, UserId};
use sea_orm::{DbBackend, Value};

use crate::persistence::{
    Transaction,
    batch::{Batch, statement},
};

const RAISE: &str = "INSERT INTO feeds (owner_id, last_seq) VALUES (?, ?) \
    ON CONFLICT (owner_id) DO UPDATE SET last_seq = feeds.last_seq + excluded.last_seq";
const RAISE_AND_END_SESSION: &str = "INSERT INTO feeds (owner_id, last_seq, last_session_end) \
    VALUES (?, ?, 1) ON CONFLICT (owner_id) DO UPDATE SET \
    last_seq = feeds.last_seq + excluded.last_seq, \
    last_session_end = feeds.last_seq + excluded.last_seq";
const INSERT: &str = "INSERT INTO feed_events (owner_id, seq, kind, conversation_id, message_id, \
    generation_id, created_at) ";
const SELECT: &str = "SELECT owner_id, last_seq - ?, ?, ?, ?, ?, ? FROM ";
const UNION: &str = " UNION ALL ";

/// What happened, and pointers to what it happened to.
#[derive(Clone, Copy)]
pub(in crate::persistence) struct Told {
    pub(in crate::persistence) kind: ChangeKind,
    pub(in crate::persistence) conversation: Option<ConversationId>,
    pub(in crate::persistence) message: Option<MessageId>,
    pub(in crate::persistence) generation: Option<GenerationId>,
}

impl Told {
    pub(in crate::persistence) fn conversation(kind: ChangeKind, id: ConversationId) -> Self {
        Self { kind, conversation: Some(id), message: None, generation: None }
    }

    pub(in crate::persistence) fn message(conversation: ConversationId, id: MessageId) -> Self {
        let kind = ChangeKind::MessageCreated;
        Self { message: Some(id), ..Self::conversation(kind, conversation) }
    }

    pub(in crate::persistence) fn generation(
        kind: ChangeKind,
        conversation: ConversationId,
        id: GenerationId,
    ) -> Self {
        Self { generation: Some(id), ..Self::conversation(kind, conversation) }
    }

    pub(in crate::persistence) fn session_ended() -> Self {
        let kind = ChangeKind::SessionEnded;
        Self { kind, conversation: None, message: None, generation: None }
    }

    fn values(self, before_last: i64, at: DateTime<Utc>) -> [Value; 6] {
        [
            before_last.into(),
            self.kind.as_str().into(),
            self.conversation.map(ConversationId::as_uuid).into(),
            self.message.map(MessageId::as_uuid).into(),
            self.generation.map(GenerationId::as_uuid).into(),
            at.into(),
        ]
    }
}

/// The beginning of a transaction that changes what is a user's; `changes` in their order, of which
/// there is at least one.
pub(in crate::persistence) fn telling(
    tx: &Transaction,
    owner: UserId,
    at: DateTime<Utc>,
    changes: &[Told],
) -> Batch {
    let batch = Batch::new(tx);
    let backend = batch.backend();
    let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    let ends_session = changes.iter().any(|told| told.kind == ChangeKind::SessionEnded);
    let raise = if ends_session { RAISE_AND_END_SESSION } else { RAISE };
    let raised_by = [owner.as_uuid().into(), count.into()];
    let before_last = (0..count).rev();
    let values = before_last.zip(changes).map(|(before_last, told)| told.values(before_last, at));
    if backend == DbBackend::Postgres {
        // One trip to the server.
        let select = vec![format!("{SELECT}raised"); changes.len()].join(UNION);
        let sql = format!("WITH raised AS ({raise} RETURNING owner_id, last_seq) {INSERT}{select}");
        let values = raised_by.into_iter().chain(values.flatten());
        return batch.and(count.unsigned_abs(), statement(backend, &sql, values));
    }
    let select = vec![format!("{SELECT}feeds WHERE owner_id = ?"); changes.len()].join(UNION);
    let sql = format!("{INSERT}{select}");
    let of_owner = || [Value::from(owner.as_uuid())];
    let values = values.flat_map(|values| values.into_iter().chain(of_owner()));
    let events = statement(backend, &sql, values);
    batch.and(1, statement(backend, raise, raised_by)).and(count.unsigned_abs(), events)
}
