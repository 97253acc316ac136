//! The conversation that each member has running in a project.

use async_trait::async_trait;
use repartee_application::ports::{ChangeKind, PortError, ProjectConversations, Watched};
use repartee_domain::{ConversationId, ProjectId, UserId, conversations::Conversation};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, JoinType, QueryFilter, QuerySelect, QueryTrait,
    RelationTrait, sea_query::Expr,
};

use crate::persistence::{
    Database,
    entity::{
        conversation,
        project_member::{Column, Entity, Relation},
    },
    error::{database, gone_or_taken},
    feeds::{Told, telling},
};

pub struct SeaProjectConversations {
    db: Database,
}

impl SeaProjectConversations {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl ProjectConversations for SeaProjectConversations {
    async fn find(
        &self,
        user: UserId,
        project: ProjectId,
    ) -> Result<Option<Conversation>, PortError> {
        let row = conversation::Entity::find()
            .join(JoinType::InnerJoin, Relation::Conversation.def().rev())
            .filter(Column::ProjectId.eq(project.get()))
            .filter(Column::UserId.eq(user.as_uuid()))
            .one(self.db.reader())
            .await
            .map_err(database)?;
        row.map(Conversation::try_from).transpose()
    }

    async fn begin(
        &self,
        project: ProjectId,
        conversation: Conversation,
        instead_of: Option<ConversationId>,
    ) -> Result<bool, PortError> {
        let (owner, now) = (conversation.owner, conversation.created_at);
        let told = Told::conversation(ChangeKind::ConversationCreated, conversation.id);
        let has_still = match instead_of {
            Some(id) => Column::ConversationId.eq(id.as_uuid()),
            None => Column::ConversationId.is_null(),
        };
        let take_its_place = Entity::update_many()
            .col_expr(Column::ConversationId, Expr::value(conversation.id.as_uuid()))
            .filter(Column::ProjectId.eq(project.get()))
            .filter(Column::UserId.eq(owner.as_uuid()))
            .filter(has_still);
        let row = conversation::Model::from(conversation);
        let begun = self.db.write_telling(owner, Watched::Changes, move |tx| {
            Box::pin(async move {
                let batch = telling(tx, owner, now, &[told]);
                let backend = batch.backend();
                let insert = conversation::Entity::insert(row.into_active_model()).build(backend);
                let batch = batch.and(1, insert).and(1, take_its_place.build(backend));
                let is_whole = batch.run(tx).await;
                let is_whole = is_whole.map_err(gone_or_taken("conversations", &[]))?;
                if is_whole { Ok(()) } else { Err(PortError::Stale) }
            })
        });
        match begun.await {
            Ok(()) => Ok(true),
            Err(PortError::Stale) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
