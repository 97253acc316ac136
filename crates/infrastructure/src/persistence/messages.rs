//! Messages in the database.

mod feedback;
mod stats;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::{
    Order, Page, PageRequest,
    ports::{
        ConversationReference, ConversationStats, Done, MessageReference, MessageRepository,
        NewKey, PortError, UsedKey, Watched,
    },
};
use repartee_domain::{
    ConversationId, GenerationId, MessageId, Reference, UserId,
    conversations::ConversationStatusName,
    messages::{Feedback, Message, Writing},
    replies::{Cost, Usage},
};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, JoinType, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, RelationTrait, Select, SelectTwo, UpdateMany, sea_query::Expr,
};

use super::{
    Database, Transaction,
    conversations::referred_to_by,
    entity::{
        conversation,
        message::{Column, Entity, Model, Relation},
        message_feedback,
    },
    error::{database, is_dangling},
    feeds::{Told, telling},
    idempotency,
    stored::{corrupt, number, parsed, version},
};

pub struct SeaMessageRepository {
    db: Database,
}

impl SeaMessageRepository {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl MessageRepository for SeaMessageRepository {
    async fn list(
        &self,
        owner: UserId,
        conversation: ConversationReference,
        order: Order,
        page: PageRequest<MessageId>,
    ) -> Result<Option<Page<Message, MessageId>>, PortError> {
        let mut rows = with_feedback(owner)
            .filter(referred_to_by(conversation))
            .limit(u64::from(page.limit) + 1);
        let after = page.after.map(MessageId::as_uuid);
        rows = match order {
            Order::Ascending => rows.order_by_asc(Column::Id),
            Order::Descending => rows.order_by_desc(Column::Id),
        };
        if let Some(after) = after {
            rows = rows.filter(match order {
                Order::Ascending => Column::Id.gt(after),
                Order::Descending => Column::Id.lt(after),
            });
        }
        let messages = rows
            .all(self.db.reader())
            .await
            .map_err(database)?
            .into_iter()
            .map(rated)
            .collect::<Result<Vec<_>, _>>()?;
        if messages.is_empty() && self.status(owner, conversation).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(Page::of(messages, page.limit, |message| message.id)))
    }

    async fn store(
        &self,
        owner: UserId,
        message: Message,
        key: Option<NewKey>,
    ) -> Result<Option<UsedKey>, PortError> {
        loop {
            let (this, its_key) = (message.clone(), key.clone());
            let stored = self.db.write_telling(owner, Watched::Changes, move |tx| {
                Box::pin(async move { store(tx, owner, this, its_key).await })
            });
            let error = match stored.await {
                Ok(()) => return Ok(None),
                Err(error @ (PortError::Stale | PortError::Corrupt(_))) => error,
                Err(error) => return Err(error),
            };
            if let Some(NewKey { route, key, .. }) = &key
                && let Some(used) =
                    idempotency::used(&self.db, owner, route, key, message.created_at).await?
            {
                return Ok(Some(used));
            }
            let status = self.status(owner, Reference::Id(message.conversation)).await?;
            if status.as_deref() != Some(ConversationStatusName::Active.as_str()) {
                return Err(PortError::Stale);
            }
            if let PortError::Corrupt(_) = error {
                return Err(error);
            }
            // What was in the way a moment ago is over.
        }
    }

    async fn find(&self, owner: UserId, message: MessageId) -> Result<Option<Message>, PortError> {
        let row = owned_by(owner)
            .filter(Column::Id.eq(message.as_uuid()))
            .one(self.db.reader())
            .await
            .map_err(database)?;
        row.map(Message::try_from).transpose()
    }

    async fn find_in(
        &self,
        owner: UserId,
        conversation: ConversationReference,
        message: MessageReference,
    ) -> Result<Option<Message>, PortError> {
        let named = match message {
            Reference::Id(id) => Column::Id.eq(id.as_uuid()),
            Reference::Code(code) => Column::Code.eq(code.as_str()),
        };
        let row = with_feedback(owner)
            .filter(referred_to_by(conversation))
            .filter(named)
            .one(self.db.reader())
            .await
            .map_err(database)?;
        row.map(rated).transpose()
    }

    async fn rate(
        &self,
        owner: UserId,
        message: MessageId,
        feedback: Option<Feedback>,
    ) -> Result<bool, PortError> {
        feedback::rate(&self.db, owner, message, feedback).await
    }

    async fn stats(
        &self,
        owner: UserId,
        conversation: ConversationReference,
    ) -> Result<Option<ConversationStats>, PortError> {
        let stats = stats::stats(&self.db, owner, conversation).await?;
        if stats.is_none() && self.status(owner, conversation).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(stats.unwrap_or_default()))
    }
}

impl SeaMessageRepository {
    /// A conversation's status; `None` when it is missing or belongs to someone else.
    async fn status(
        &self,
        owner: UserId,
        conversation: ConversationReference,
    ) -> Result<Option<String>, PortError> {
        conversation::Entity::find()
            .select_only()
            .column(conversation::Column::Status)
            .filter(conversation::Column::OwnerId.eq(owner.as_uuid()))
            .filter(referred_to_by(conversation))
            .into_tuple()
            .one(self.db.reader())
            .await
            .map_err(database)
    }
}

/// Every read starts here, so no query can forget whose data it is.
pub(super) fn owned_by(owner: UserId) -> Select<Entity> {
    Entity::find()
        .join(JoinType::InnerJoin, Relation::Conversation.def())
        .filter(conversation::Column::OwnerId.eq(owner.as_uuid()))
}

/// In the same query.
fn with_feedback(owner: UserId) -> SelectTwo<Entity, message_feedback::Entity> {
    owned_by(owner).find_also_related(message_feedback::Entity)
}

fn rated(
    (message, feedback): (Model, Option<message_feedback::Model>),
) -> Result<Message, PortError> {
    let feedback = feedback.map(Feedback::try_from).transpose()?;
    Ok(Message { feedback, ..message.try_into()? })
}

/// All or nothing. [`PortError::Stale`] where something was in the way, and
/// [`PortError::Corrupt`] where something is missing that the message points at.
async fn store(
    tx: &Transaction,
    owner: UserId,
    message: Message,
    key: Option<NewKey>,
) -> Result<(), PortError> {
    let (id, conversation, now) = (message.id, message.conversation, message.created_at);
    let mut batch = telling(tx, owner, now, &[Told::message(conversation, id)]);
    let backend = batch.backend();
    let insert = Entity::insert(Model::from(message).into_active_model());
    batch = batch
        .and(1, last_message(owner, conversation, now).build(backend))
        .and(1, insert.build(backend));
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

/// Moves a conversation's last activity, in place, where it takes messages.
pub(super) fn last_message(
    owner: UserId,
    conversation: ConversationId,
    at: DateTime<Utc>,
) -> UpdateMany<conversation::Entity> {
    conversation::Entity::update_many()
        .col_expr(conversation::Column::LastMessageAt, Expr::value(at))
        .col_expr(conversation::Column::LastActivityAt, Expr::value(at))
        .filter(conversation::Column::Id.eq(conversation.as_uuid()))
        .filter(conversation::Column::OwnerId.eq(owner.as_uuid()))
        .filter(conversation::Column::Status.eq(ConversationStatusName::Active.as_str()))
}

impl From<Message> for Model {
    fn from(message: Message) -> Self {
        let writing = message.writing;
        let usage = writing.as_ref().and_then(|writing| writing.usage);
        Self {
            id: message.id.as_uuid(),
            code: message.code.to_string(),
            conversation_id: message.conversation.as_uuid(),
            parent_id: message.parent.map(MessageId::as_uuid),
            role: message.role.as_str().to_owned(),
            content: message.content,
            status: message.status.as_str().to_owned(),
            generation_id: writing.as_ref().map(|writing| writing.generation.as_uuid()),
            prompt_tokens: usage.map(|usage| usage.prompt_tokens.into()),
            completion_tokens: usage.map(|usage| usage.completion_tokens.into()),
            tokens_used: usage.map(|usage| usage.total_tokens().into()),
            usage_estimated: usage.map(|usage| usage.estimated),
            cost: writing.as_ref().and_then(|writing| writing.cost).map(|cost| cost.0),
            latency_ms: writing.as_ref().and_then(|writing| writing.latency_ms).map(i64::from),
            first_token_ms: writing
                .as_ref()
                .and_then(|writing| writing.first_token_ms)
                .map(i64::from),
            finish_reason: writing
                .as_ref()
                .and_then(|writing| writing.finish_reason)
                .map(|reason| reason.as_str().to_owned()),
            model: writing.map(|writing| writing.model),
            created_at: message.created_at,
            updated_at: message.updated_at,
            version: message.version.get().into(),
        }
    }
}

impl TryFrom<Model> for Message {
    type Error = PortError;

    fn try_from(mut row: Model) -> Result<Self, PortError> {
        Ok(Self {
            writing: writing(&mut row)?,
            id: MessageId::from_uuid(row.id),
            code: parsed(&row.code)?,
            conversation: ConversationId::from_uuid(row.conversation_id),
            parent: row.parent_id.map(MessageId::from_uuid),
            role: parsed(&row.role)?,
            content: row.content,
            status: parsed(&row.status)?,
            feedback: None,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: version(row.version)?,
        })
    }
}

fn writing(row: &mut Model) -> Result<Option<Writing>, PortError> {
    let (generation, model) = match (row.generation_id, row.model.take()) {
        (Some(generation), Some(model)) => (GenerationId::from_uuid(generation), model),
        (None, None) => return Ok(None),
        _ => return Err(corrupt("a reply has a generation and a model")),
    };
    let usage = match (row.prompt_tokens, row.completion_tokens, row.usage_estimated) {
        (Some(prompt), Some(completion), Some(estimated)) => Some(Usage {
            prompt_tokens: number(prompt)?,
            completion_tokens: number(completion)?,
            estimated,
        }),
        (None, None, None) => None,
        _ => return Err(corrupt("part of the usage is missing")),
    };
    Ok(Some(Writing {
        generation,
        model,
        usage,
        cost: row.cost.map(Cost),
        latency_ms: row.latency_ms.map(number).transpose()?,
        first_token_ms: row.first_token_ms.map(number).transpose()?,
        finish_reason: row.finish_reason.as_deref().map(parsed).transpose()?,
    }))
}
