//! Conversations in the database.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::{
    Page, PageRequest,
    ports::{
        ChangeKind, ConversationFilter, ConversationKey, ConversationReference,
        ConversationRepository, Done, NewKey, PortError, UsedKey, Watched,
    },
};
use repartee_domain::{
    ConversationId, PersonaId, ProjectId, Reference, UserId,
    conversations::{Conversation, ConversationStatus, ConversationStatusName, Shape, Subject},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select,
    sea_query::{Expr, LikeExpr, SimpleExpr},
};

use super::{
    Database,
    entity::conversation::{Column, Entity, Model},
    error::{database, gone_or_taken},
    feeds::{Told, telling},
    idempotency,
    stored::{corrupt, parsed, version},
    turns,
};

const TABLE: &str = "conversations";
const UNIQUE: [(&str, &str); 1] = [("id", "id")];

pub struct SeaConversationRepository {
    db: Database,
}

impl SeaConversationRepository {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl ConversationRepository for SeaConversationRepository {
    async fn insert(
        &self,
        conversation: Conversation,
        key: Option<NewKey>,
    ) -> Result<Option<UsedKey>, PortError> {
        let (owner, now) = (conversation.owner, conversation.created_at);
        let done = Done::Resource(conversation.id.as_uuid());
        let told = Told::conversation(ChangeKind::ConversationCreated, conversation.id);
        let insert = Entity::insert(Model::from(conversation).into_active_model());
        let Some(key) = key else {
            self.write_one(owner, now, told, insert).await?;
            return Ok(None);
        };
        let insert = insert.build(self.db.reader().get_database_backend());
        idempotency::unless_used(&self.db, owner, &key, now, || {
            let (insert, its_key) = (insert.clone(), key.clone());
            self.db.write_telling(owner, Watched::Changes, move |tx| {
                Box::pin(async move {
                    let batch = telling(tx, owner, now, &[told]);
                    let backend = batch.backend();
                    let key = idempotency::insertion(backend, owner, &its_key, done, now);
                    let batch = batch.and(1, insert).and(1, key);
                    let is_stored = batch.run(tx).await;
                    let is_stored = is_stored.map_err(gone_or_taken(TABLE, &UNIQUE))?;
                    if is_stored { Ok(()) } else { Err(PortError::Stale) }
                })
            })
        })
        .await
    }

    async fn find(
        &self,
        owner: UserId,
        conversation: ConversationReference,
    ) -> Result<Option<Conversation>, PortError> {
        let row = owned_by(owner)
            .filter(referred_to_by(conversation))
            .one(self.db.reader())
            .await
            .map_err(database)?;
        row.map(Conversation::try_from).transpose()
    }

    async fn list(
        &self,
        owner: UserId,
        filter: ConversationFilter,
        page: PageRequest<ConversationKey>,
    ) -> Result<Page<Conversation, ConversationKey>, PortError> {
        let mut rows = owned_by(owner)
            .order_by_desc(Column::LastActivityAt)
            .order_by_desc(Column::Id)
            .limit(u64::from(page.limit) + 1);
        if let Some(key) = page.after {
            rows = rows.filter(before(key));
        }
        if !filter.statuses.is_empty() {
            let statuses = filter.statuses.into_iter().map(ConversationStatusName::as_str);
            rows = rows.filter(Column::Status.is_in(statuses));
        }
        if let Some(title) = filter.title {
            rows = rows.filter(Column::TitleKey.like(containing(&title.to_lowercase())));
        }
        if let Some(since) = filter.active_since {
            rows = rows.filter(Column::LastActivityAt.gte(since));
        }
        if let Some(persona) = filter.persona {
            rows = rows.filter(Column::PersonaId.eq(persona.get()));
        }
        if let Some(project) = filter.project {
            rows = rows.filter(Column::ProjectId.eq(project.get()));
        }
        let conversations = rows
            .all(self.db.reader())
            .await
            .map_err(database)?
            .into_iter()
            .map(Conversation::try_from)
            .collect::<Result<_, _>>()?;
        Ok(Page::of(conversations, page.limit, |conversation: &Conversation| ConversationKey {
            last_activity_at: conversation.last_activity_at(),
            id: conversation.id,
        }))
    }

    async fn save(
        &self,
        conversation: Conversation,
        told: ChangeKind,
    ) -> Result<Conversation, PortError> {
        let (owner, now) = (conversation.owner, conversation.updated_at);
        let row = Model::from(conversation.clone());
        let update = Entity::update_many()
            .col_expr(Column::Title, Expr::value(row.title))
            .col_expr(Column::TitleKey, Expr::value(row.title_key))
            .col_expr(Column::SystemMessage, Expr::value(row.system_message))
            .col_expr(Column::Model, Expr::value(row.model))
            .col_expr(Column::Metadata, Expr::value(row.metadata))
            .col_expr(Column::PersonaId, Expr::value(row.persona_id))
            .col_expr(Column::ProjectId, Expr::value(row.project_id))
            .col_expr(Column::Status, Expr::value(row.status))
            .col_expr(Column::EndedAt, Expr::value(row.ended_at))
            .col_expr(Column::UpdatedAt, Expr::value(row.updated_at))
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .filter(Column::OwnerId.eq(row.owner_id))
            .filter(Column::Id.eq(row.id))
            .filter(Column::Version.eq(row.version));
        let told = Told::conversation(told, conversation.id);
        self.write_one(owner, now, told, update).await?;
        Ok(Conversation { version: conversation.version.next(), ..conversation })
    }

    async fn delete(
        &self,
        owner: UserId,
        id: ConversationId,
        now: DateTime<Utc>,
    ) -> Result<bool, PortError> {
        let delete = Entity::delete_many()
            .filter(Column::OwnerId.eq(owner.as_uuid()))
            .filter(Column::Id.eq(id.as_uuid()));
        let told = Told::conversation(ChangeKind::ConversationDeleted, id);
        let deleted = self.db.write_telling(owner, Watched::Changes, move |tx| {
            Box::pin(async move {
                // First, which locks the owner's row in `feeds`.
                telling(tx, owner, now, &[told]).run(tx).await.map_err(database)?;
                turns::charge(tx, id, owner).await?;
                let deleted = delete.exec(tx).await.map_err(database)?;
                if deleted.rows_affected == 1 { Ok(()) } else { Err(PortError::Stale) }
            })
        });
        match deleted.await {
            Ok(()) => Ok(true),
            Err(PortError::Stale) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl SeaConversationRepository {
    /// Changes one conversation and tells its owner's feed. [`PortError::Stale`], and nothing is
    /// told, where there is none to change.
    async fn write_one(
        &self,
        owner: UserId,
        now: DateTime<Utc>,
        told: Told,
        write: impl QueryTrait + Send + 'static,
    ) -> Result<(), PortError> {
        self.db
            .write_telling(owner, Watched::Changes, move |tx| {
                Box::pin(async move {
                    let batch = telling(tx, owner, now, &[told]);
                    let write = write.build(batch.backend());
                    let written = batch.and(1, write).run(tx).await;
                    let is_written = written.map_err(gone_or_taken(TABLE, &UNIQUE))?;
                    if is_written { Ok(()) } else { Err(PortError::Stale) }
                })
            })
            .await
    }
}

/// Every read starts here, so no query can forget whose data it is.
pub(super) fn owned_by(owner: UserId) -> Select<Entity> {
    Entity::find().filter(Column::OwnerId.eq(owner.as_uuid()))
}

pub(super) fn referred_to_by(conversation: ConversationReference) -> SimpleExpr {
    match conversation {
        Reference::Id(id) => Column::Id.eq(id.as_uuid()),
        Reference::Code(code) => Column::Code.eq(code.as_str()),
    }
}

/// Row by row: with two separate conditions neither database would begin in the middle of the
/// index.
fn before(key: ConversationKey) -> SimpleExpr {
    let place = Expr::tuple([Column::LastActivityAt.into_expr(), Column::Id.into_expr()]);
    place.lt(Expr::tuple([Expr::value(key.last_activity_at), Expr::value(key.id.as_uuid())]))
}

/// A pattern for what has `text` somewhere in it, whatever characters that is made of.
fn containing(text: &str) -> LikeExpr {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    LikeExpr::new(format!("%{escaped}%")).escape('\\')
}

impl From<Conversation> for Model {
    fn from(conversation: Conversation) -> Self {
        let last_activity_at = conversation.last_activity_at();
        let Subject { title, system_message, model, metadata, shape } = conversation.subject;
        Self {
            id: conversation.id.as_uuid(),
            code: conversation.code.to_string(),
            owner_id: conversation.owner.as_uuid(),
            title_key: title.as_deref().map(str::to_lowercase),
            title,
            system_message,
            model,
            status: conversation.status.name().as_str().to_owned(),
            metadata,
            persona_id: shape.persona.map(PersonaId::get),
            project_id: shape.project.map(ProjectId::get),
            last_message_at: conversation.last_message_at,
            last_activity_at,
            is_branched: conversation.is_branched,
            ended_at: match conversation.status {
                ConversationStatus::Ended { at } => Some(at),
                ConversationStatus::Active | ConversationStatus::Archived => None,
            },
            guest_key_hash: None,
            expires_at: None,
            created_at: conversation.created_at,
            updated_at: conversation.updated_at,
            version: conversation.version.get().into(),
        }
    }
}

impl TryFrom<Model> for Conversation {
    type Error = PortError;

    fn try_from(row: Model) -> Result<Self, PortError> {
        let status = match (parsed(&row.status)?, row.ended_at) {
            (ConversationStatusName::Active, None) => ConversationStatus::Active,
            (ConversationStatusName::Archived, None) => ConversationStatus::Archived,
            (ConversationStatusName::Ended, Some(at)) => ConversationStatus::Ended { at },
            _ => return Err(corrupt("the status and the end contradict each other")),
        };
        Ok(Self {
            id: ConversationId::from_uuid(row.id),
            code: parsed(&row.code)?,
            owner: UserId::from_uuid(row.owner_id),
            subject: Subject {
                title: row.title,
                system_message: row.system_message,
                model: row.model,
                metadata: row.metadata,
                shape: Shape {
                    persona: row.persona_id.map(PersonaId::new),
                    project: row.project_id.map(ProjectId::new),
                },
            },
            status,
            last_message_at: row.last_message_at,
            is_branched: row.is_branched,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: version(row.version)?,
        })
    }
}
