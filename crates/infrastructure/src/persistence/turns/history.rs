//! What was said, for the model.

use repartee_application::ports::{History, HistoryFrom, PastMessage, PortError};
use repartee_domain::{ConversationId, MessageId, UserId};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect,
    RelationDef,
};
use uuid::Uuid;

use crate::persistence::{
    Database,
    entity::{conversation, feed, message::Column},
    error::database,
    messages::{in_past, is_linear, owned_by},
    stored::{number, parsed},
};

pub(super) async fn history(
    db: &Database,
    owner: UserId,
    conversation: ConversationId,
    from: HistoryFrom,
    limit: u32,
) -> Result<History, PortError> {
    // One statement, so that what is seen is what its number says.
    let rows = owned_by(owner)
        .join(JoinType::LeftJoin, feed_of_conversation())
        .select_only()
        .columns([Column::Id, Column::Role, Column::Content])
        .column(feed::Column::LastSeq)
        .filter(Column::ConversationId.eq(conversation.as_uuid()))
        .order_by_desc(Column::Id)
        .limit(u64::from(limit));
    let reader = db.reader();
    let backend = reader.get_database_backend();
    let linear = rows.clone().filter(is_linear(backend, conversation.into()));
    let linear = match from {
        HistoryFrom::End => linear,
        HistoryFrom::At(id) => linear.filter(Column::Id.lte(id.as_uuid())),
        HistoryFrom::Before(id) => linear.filter(Column::Id.lt(id.as_uuid())),
    };
    let mut found: Vec<(Uuid, String, String, Option<i64>)> =
        linear.into_tuple().all(reader).await.map_err(database)?;
    if found.is_empty() {
        let of_branch = rows.filter(in_past(backend, conversation, from, limit.into()));
        found = of_branch.into_tuple().all(reader).await.map_err(database)?;
    }
    let seen = found.first().and_then(|(.., seen)| *seen).unwrap_or(0);
    let messages = found.into_iter().map(|(id, role, content, _)| {
        Ok(PastMessage { id: MessageId::from_uuid(id), role: parsed(&role)?, content })
    });
    Ok(History { messages: messages.collect::<Result<_, PortError>>()?, seen: number(seen)? })
}

fn feed_of_conversation() -> RelationDef {
    conversation::Entity::belongs_to(feed::Entity)
        .from(conversation::Column::OwnerId)
        .to(feed::Column::OwnerId)
        .into()
}
