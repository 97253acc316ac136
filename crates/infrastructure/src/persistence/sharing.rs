//! Shared links in the database.
//!
//! Messages are never overwritten, so a link need not copy them: it names the end of its branch,
//! and shows what was written to its end by the time it was made.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::{
    Page, PageRequest,
    ports::{
        HistoryFrom, NewKey, NewLink, PortError, SecretHash, SharedLinkRepository, SharedMessage,
        Snapshot, UsedKey,
    },
};
use repartee_domain::{
    ConversationId, MessageId, UserId,
    audit::AuditEntry,
    messages::{MessageRole, MessageStatus},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, FromQueryResult,
    JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait, prelude::DateTimeUtc,
    sea_query::Query,
};
use uuid::Uuid;

use super::{
    Database, Transaction, audit,
    batch::statement,
    entity::{
        conversation, message,
        shared_link::{Column, Entity, Model, Relation},
        user,
    },
    error::{database, gone_or_taken},
    idempotency,
    messages::{in_past, is_linear},
    stored::parsed,
};

const PUT: &str = "INSERT INTO shared_links \
    (conversation_id, token_hash, title, through_id, created_at, expires_at) \
    SELECT c.id, ?, c.title, (SELECT m.id FROM messages AS m WHERE m.conversation_id = c.id \
    ORDER BY m.id DESC LIMIT 1), ?, ? FROM conversations AS c WHERE c.id = ? AND c.owner_id = ? \
    ON CONFLICT (conversation_id) DO UPDATE SET token_hash = excluded.token_hash, \
    title = excluded.title, through_id = excluded.through_id, created_at = excluded.created_at, \
    expires_at = excluded.expires_at";

pub struct SeaSharedLinkRepository {
    db: Database,
}

impl SeaSharedLinkRepository {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl SharedLinkRepository for SeaSharedLinkRepository {
    async fn put(
        &self,
        link: NewLink,
        key: Option<NewKey>,
        entry: AuditEntry,
    ) -> Result<Option<UsedKey>, PortError> {
        let (owner, now) = (link.owner, link.created_at);
        let store = |key: Option<NewKey>| {
            let (link, entry) = (link.clone(), entry.clone());
            self.db.write(move |tx| {
                Box::pin(async move {
                    if let Some(key) = key {
                        let conversation = link.conversation.as_uuid();
                        idempotency::claim(tx, owner, &key, conversation, now).await?;
                    }
                    put(tx, link).await?;
                    audit::record(tx, entry).await
                })
            })
        };
        idempotency::once(&self.db, owner, key.as_ref(), now, store)
            .await
            .map(idempotency::used_before)
    }

    async fn remove(
        &self,
        owner: UserId,
        conversation: ConversationId,
        entry: AuditEntry,
    ) -> Result<bool, PortError> {
        let of_owner = Query::select()
            .column(conversation::Column::Id)
            .from(conversation::Entity)
            .and_where(conversation::Column::OwnerId.eq(owner.as_uuid()))
            .and_where(conversation::Column::Id.eq(conversation.as_uuid()))
            .take();
        let delete = Entity::delete_many().filter(Column::ConversationId.in_subquery(of_owner));
        let removed = self.db.write(move |tx| {
            Box::pin(async move {
                match delete.exec(tx).await.map_err(database)?.rows_affected {
                    0 => Err(PortError::Stale),
                    _ => audit::record(tx, entry).await,
                }
            })
        });
        match removed.await {
            Ok(()) => Ok(true),
            Err(PortError::Stale) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn read(
        &self,
        token: SecretHash,
        page: PageRequest<MessageId>,
        now: DateTime<Utc>,
    ) -> Result<Option<Snapshot>, PortError> {
        let Some(link) = self.good(token, now).await? else { return Ok(None) };
        let messages = self.shown(&link, page).await?;
        Ok(Some(Snapshot {
            title: link.title,
            shared_at: link.created_at,
            expires_at: link.expires_at,
            messages: Page::of(messages, page.limit, |message| message.id),
        }))
    }
}

impl SeaSharedLinkRepository {
    /// A link that opens something. Whose it is does not matter to who has its token.
    async fn good(
        &self,
        token: SecretHash,
        now: DateTime<Utc>,
    ) -> Result<Option<Model>, PortError> {
        let active = Query::select()
            .column(user::Column::Id)
            .from(user::Entity)
            .and_where(user::Column::IsActive.eq(true))
            .take();
        let is_alive = Column::ExpiresAt.is_null().or(Column::ExpiresAt.gt(now));
        Entity::find()
            .join(JoinType::InnerJoin, Relation::Conversation.def())
            .filter(Column::TokenHash.eq(token.0.to_vec()))
            .filter(is_alive)
            .filter(conversation::Column::OwnerId.in_subquery(active))
            .one(self.db.reader())
            .await
            .map_err(database)
    }

    /// One more than the page has, where there are more.
    async fn shown(
        &self,
        link: &Model,
        page: PageRequest<MessageId>,
    ) -> Result<Vec<SharedMessage>, PortError> {
        use message::Column;

        let Some(through) = link.through_id else { return Ok(Vec::new()) };
        let backend = self.db.reader().get_database_backend();
        let roles = [MessageRole::User, MessageRole::Assistant].map(MessageRole::as_str);
        let mut rows = message::Entity::find()
            .join(JoinType::InnerJoin, message::Relation::Conversation.def())
            .filter(Column::ConversationId.eq(link.conversation_id))
            .filter(in_branch(backend, link, through))
            .filter(Column::Role.is_in(roles))
            .filter(Column::Content.ne(""))
            .filter(Column::Status.ne(MessageStatus::Streaming.as_str()))
            // What was being written at that time was finished later.
            .filter(Column::UpdatedAt.lte(link.created_at))
            .order_by_asc(Column::Id)
            .limit(u64::from(page.limit) + 1);
        if let Some(after) = page.after {
            rows = rows.filter(Column::Id.gt(after.as_uuid()));
        }
        let rows = rows.into_model::<Shown>().all(self.db.reader()).await.map_err(database)?;
        rows.into_iter().map(SharedMessage::try_from).collect()
    }
}

/// What was said up to the end of the link's branch.
fn in_branch(backend: DbBackend, link: &Model, through: Uuid) -> Condition {
    let id = ConversationId::from_uuid(link.conversation_id);
    let linear =
        Condition::all().add(is_linear(backend, id.into())).add(message::Column::Id.lte(through));
    let from = HistoryFrom::At(MessageId::from_uuid(through));
    Condition::any().add(linear).add(in_past(backend, id, from, i64::MAX))
}

/// [`PortError::Stale`] where there is no such conversation.
async fn put(tx: &Transaction, link: NewLink) -> Result<(), PortError> {
    let values = [
        link.token.0.to_vec().into(),
        link.created_at.into(),
        link.expires_at.into(),
        link.conversation.as_uuid().into(),
        link.owner.as_uuid().into(),
    ];
    let put = statement(tx.get_database_backend(), PUT, values);
    let put = tx.execute_raw(put).await.map_err(gone_or_taken("shared_links", &[]))?;
    if put.rows_affected() == 1 { Ok(()) } else { Err(PortError::Stale) }
}

#[derive(FromQueryResult)]
struct Shown {
    id: Uuid,
    role: String,
    content: String,
    model: Option<String>,
    created_at: DateTimeUtc,
}

impl TryFrom<Shown> for SharedMessage {
    type Error = PortError;

    fn try_from(row: Shown) -> Result<Self, PortError> {
        Ok(Self {
            id: MessageId::from_uuid(row.id),
            role: parsed(&row.role)?,
            content: row.content,
            model: row.model,
            created_at: row.created_at,
        })
    }
}
