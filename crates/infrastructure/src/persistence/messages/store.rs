//! Storing a message that nobody answers, and what any new message does to its conversation.

use chrono::{DateTime, Utc};
use repartee_application::ports::{ChangeKind, Done, NewKey, Place, PortError, UsedKey, Watched};
use repartee_domain::{
    ConversationId, MessageId, UserId,
    conversations::{Branching, ConversationStatusName},
    messages::Message,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    QueryTrait, UpdateMany,
    sea_query::{Condition, Expr, Query, SelectStatement},
};

use super::branches::threaded;
use crate::persistence::{
    Database, Transaction,
    entity::{
        conversation, feed_event,
        message::{Entity, Model},
    },
    error::{database, is_dangling},
    feeds::{Told, telling},
    idempotency,
    stored::corrupt,
};

/// What a message must not be stored after unseen: a reply that begins may be in another branch.
const IN_THE_WAY: [ChangeKind; 3] =
    [ChangeKind::MessageCreated, ChangeKind::GenerationStarted, ChangeKind::GenerationEnded];

pub(super) async fn store(
    db: &Database,
    owner: UserId,
    message: Message,
    place: Place,
    key: Option<NewKey>,
) -> Result<Option<UsedKey>, PortError> {
    loop {
        let (this, its_key) = (message.clone(), key.clone());
        let stored = db.write_telling(owner, Watched::Changes, move |tx| {
            Box::pin(async move { once(tx, owner, this, place, its_key).await })
        });
        let error = match stored.await {
            Ok(()) => return Ok(None),
            Err(error @ (PortError::Stale | PortError::Corrupt(_))) => error,
            Err(error) => return Err(error),
        };
        if let Some(NewKey { route, key, .. }) = &key
            && let Some(used) = idempotency::used(db, owner, route, key, message.created_at).await?
        {
            return Ok(Some(used));
        }
        if !still_holds(db, owner, &message, place).await? {
            return Err(PortError::Stale);
        }
        if let PortError::Corrupt(_) = error {
            return Err(error);
        }
        // What was in the way a moment ago is over.
    }
}

/// All or nothing. [`PortError::Stale`] where something was in the way, and
/// [`PortError::Corrupt`] where something is missing that the message points at.
async fn once(
    tx: &Transaction,
    owner: UserId,
    message: Message,
    place: Place,
    key: Option<NewKey>,
) -> Result<(), PortError> {
    let (id, conversation, now) = (message.id, message.conversation, message.created_at);
    let batch = telling(tx, owner, now, &[Told::message(conversation, id)]);
    let mut batch = threaded(tx, batch, conversation, place.branching).await?;
    let backend = batch.backend();
    let mut moved = last_message(owner, conversation, now, place.branching);
    if let Some(seen) = place.seen {
        moved = moved.filter(nothing(said_since(owner, conversation, seen, id, &IN_THE_WAY)?));
    }
    let insert = Entity::insert(Model::from(message).into_active_model());
    batch = batch.and(1, moved.build(backend)).and(1, insert.build(backend));
    if let Some(key) = key {
        batch = batch.and(1, idempotency::insertion(backend, owner, &key, Done::Message(id), now));
    }
    match batch.run(tx).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(PortError::Stale),
        Err(error) if is_dangling(&error) => Err(corrupt(error)),
        Err(error) => Err(database(error)),
    }
}

/// Whether the conversation takes a message, there.
async fn still_holds(
    db: &Database,
    owner: UserId,
    message: &Message,
    place: Place,
) -> Result<bool, PortError> {
    let is_branched = is_branched_while_open(db, owner, message.conversation).await?;
    if is_branched != Some(place.branching == Branching::Branched) {
        return Ok(false);
    }
    let Some(seen) = place.seen else { return Ok(true) };
    let said = said_since(owner, message.conversation, seen, message.id, &IN_THE_WAY)?;
    Ok(db.reader().query_one(&said).await.map_err(database)?.is_none())
}

/// Whether a conversation has branches; `None` where it takes no messages, or isn't there.
pub(in crate::persistence) async fn is_branched_while_open(
    db: &Database,
    owner: UserId,
    conversation: ConversationId,
) -> Result<Option<bool>, PortError> {
    conversation::Entity::find()
        .select_only()
        .column(conversation::Column::IsBranched)
        .filter(conversation::Column::Id.eq(conversation.as_uuid()))
        .filter(conversation::Column::OwnerId.eq(owner.as_uuid()))
        .filter(conversation::Column::Status.eq(ConversationStatusName::Active.as_str()))
        .into_tuple()
        .one(db.reader())
        .await
        .map_err(database)
}

/// Moves a conversation's last activity, in place, where it takes messages and has branches, or
/// none, as `branching` has it.
pub(in crate::persistence) fn last_message(
    owner: UserId,
    conversation: ConversationId,
    at: DateTime<Utc>,
    branching: Branching,
) -> UpdateMany<conversation::Entity> {
    use conversation::{Column, Entity};

    Entity::update_many()
        .col_expr(Column::LastMessageAt, Expr::value(at))
        .col_expr(Column::LastActivityAt, Expr::value(at))
        .col_expr(Column::IsBranched, Expr::value(branching != Branching::Linear))
        .filter(Column::Id.eq(conversation.as_uuid()))
        .filter(Column::OwnerId.eq(owner.as_uuid()))
        .filter(Column::Status.eq(ConversationStatusName::Active.as_str()))
        .filter(Column::IsBranched.eq(branching == Branching::Branched))
}

/// Whether something of these kinds happened in a conversation after a change, but for one message. Asked by the transaction
/// that stores that one it is exact: whoever says something, or ends a reply, waits for its lock on
/// `feeds`, or was waited for.
pub(in crate::persistence) fn said_since(
    owner: UserId,
    conversation: ConversationId,
    seen: u64,
    but_for: MessageId,
    kinds: &[ChangeKind],
) -> Result<SelectStatement, PortError> {
    use feed_event::{Column, Entity};

    let kinds = kinds.iter().copied().map(ChangeKind::as_str);
    let is_other = Condition::any()
        .add(Column::MessageId.is_null())
        .add(Column::MessageId.ne(but_for.as_uuid()));
    Ok(Query::select()
        .expr(Expr::val(1))
        .from(Entity)
        .and_where(Column::OwnerId.eq(owner.as_uuid()))
        .and_where(Column::ConversationId.eq(conversation.as_uuid()))
        .and_where(Column::Seq.gt(i64::try_from(seen).map_err(corrupt)?))
        .and_where(Column::Kind.is_in(kinds))
        .cond_where(is_other)
        .limit(1)
        .take())
}

pub(in crate::persistence) fn nothing(found: SelectStatement) -> Condition {
    Condition::all().not().add(Expr::exists(found))
}
