//! Messages in the database.

mod branches;
mod feedback;
mod stats;
mod store;

use async_trait::async_trait;
use repartee_application::{
    Order, Page, PageRequest,
    ports::{
        Branch, ConversationReference, ConversationStats, MessageReference, MessageRepository,
        NewKey, Place, PortError, UsedKey,
    },
};
use repartee_domain::{
    ConversationId, GenerationId, MessageId, Reference, UserId,
    messages::{Feedback, Message, Writing},
    replies::{Cost, Usage},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect,
    RelationTrait, Select, SelectTwo,
};

use self::branches::{Start, in_branch};
pub(super) use self::{
    branches::{in_past, is_linear, threaded},
    store::{is_branched_while_open, last_message, nothing, said_since},
};
use super::{
    Database,
    conversations::referred_to_by,
    entity::{
        conversation,
        message::{Column, Entity, Model, Relation},
        message_feedback,
    },
    error::database,
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
        branch: Branch,
        order: Order,
        page: PageRequest<MessageId>,
    ) -> Result<Option<Page<Message, MessageId>>, PortError> {
        let mut rows = with_feedback(owner)
            .filter(referred_to_by(conversation))
            .limit(u64::from(page.limit) + 1);
        rows = match order {
            Order::Ascending => rows.order_by_asc(Column::Id),
            Order::Descending => rows.order_by_desc(Column::Id),
        };
        if let Some(after) = page.after.map(MessageId::as_uuid) {
            rows = rows.filter(match order {
                Order::Ascending => Column::Id.gt(after),
                Order::Descending => Column::Id.lt(after),
            });
        }
        let start = match branch {
            Branch::All => None,
            // Further pages are of the branch that the first was of, whatever is begun meanwhile.
            Branch::Newest => Some(page.after.map_or(Start::Newest(conversation), Start::At)),
            Branch::Through(message) => Some(Start::At(message)),
        };
        let reader = self.db.reader();
        let found = match start {
            None => rows.all(reader).await.map_err(database)?,
            Some(start) => {
                let backend = reader.get_database_backend();
                let linear = rows.clone().filter(is_linear(backend, conversation));
                let found = linear.all(reader).await.map_err(database)?;
                if found.is_empty() {
                    let most = match (order, page.after) {
                        (Order::Descending, None) => i64::from(page.limit) + 1,
                        _ => i64::MAX,
                    };
                    let of_branch = in_branch(backend, &start, most);
                    rows.filter(of_branch).all(reader).await.map_err(database)?
                } else {
                    found
                }
            }
        };
        let messages = found.into_iter().map(rated).collect::<Result<Vec<_>, _>>()?;
        if messages.is_empty() && self.status(owner, conversation).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(Page::of(messages, page.limit, |message| message.id)))
    }

    async fn store(
        &self,
        owner: UserId,
        message: Message,
        place: Place,
        key: Option<NewKey>,
    ) -> Result<Option<UsedKey>, PortError> {
        store::store(&self.db, owner, message, place, key).await
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
            generation_id: writing
                .as_ref()
                .and_then(|writing| writing.generation)
                .map(GenerationId::as_uuid),
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
        (generation, Some(model)) => (generation.map(GenerationId::from_uuid), model),
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(corrupt("a generation has a model")),
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
