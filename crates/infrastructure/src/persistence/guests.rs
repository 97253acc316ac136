//! Guests and their conversations in the database.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::ports::{
    ChangeKind, GuestRepository, PasswordHash, PortError, SecretHash, Watched,
};
use repartee_domain::{
    GenerationId,
    accounts::{Role, User},
    conversations::Conversation,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, JoinType, QueryFilter,
    QuerySelect, QueryTrait, RelationDef, Statement,
    sea_query::{Condition, Expr, ExprTrait, Query},
};
use uuid::Uuid;

use super::{
    Database, Transaction,
    batch::statement,
    entity::{
        conversation::{Column, Entity, Model},
        generation, subject_key, user,
    },
    error::{database, gone_or_taken},
    feeds::{Told, telling},
    users,
};

const UNIQUE: [(&str, &str); 1] = [("guest_key_hash", "session_id")];
/// No hash of any password.
const NO_PASSWORD: &str = "!";
/// Guests that can go. Who writes what is a user's locks their `feeds` row before any other, and
/// so does who deletes it; one that is being written to now is left for later.
const FORGETTABLE: &str = "SELECT feeds.owner_id FROM conversations \
    JOIN feeds ON feeds.owner_id = conversations.owner_id \
    WHERE conversations.expires_at <= ? AND NOT EXISTS (SELECT 1 FROM generations \
    WHERE generations.owner_id = feeds.owner_id AND generations.ended_at IS NULL) LIMIT ?";
const LOCKED: &str = " FOR UPDATE OF feeds SKIP LOCKED";

pub struct SeaGuestRepository {
    db: Database,
}

impl SeaGuestRepository {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl GuestRepository for SeaGuestRepository {
    async fn begin(
        &self,
        guest: User,
        conversation: Conversation,
        key: SecretHash,
        expires_at: DateTime<Utc>,
    ) -> Result<(), PortError> {
        let (owner, now) = (guest.id, conversation.created_at);
        let told = Told::conversation(ChangeKind::ConversationCreated, conversation.id);
        let guest = users::row(&guest, &PasswordHash(NO_PASSWORD.into()));
        let conversation = Model {
            guest_key_hash: Some(key.0.to_vec()),
            expires_at: Some(expires_at),
            ..conversation.into()
        };
        self.db
            .write_telling(owner, Watched::Changes, move |tx| {
                Box::pin(async move {
                    let backend = tx.get_database_backend();
                    let before = vec![
                        let_go(key, now).build(backend),
                        user::Entity::insert(guest.into_active_model()).build(backend),
                    ];
                    tx.execute_all(before).await.map_err(database)?;
                    let insert = Entity::insert(conversation.into_active_model()).build(backend);
                    let begun = telling(tx, owner, now, &[told]).and(1, insert).run(tx).await;
                    let is_whole = begun.map_err(gone_or_taken("conversations", &UNIQUE))?;
                    if is_whole { Ok(()) } else { Err(PortError::Stale) }
                })
            })
            .await
    }

    async fn find(
        &self,
        key: SecretHash,
        now: DateTime<Utc>,
    ) -> Result<Option<Conversation>, PortError> {
        let row = Entity::find()
            .filter(Column::GuestKeyHash.eq(key.0.to_vec()))
            .filter(Column::ExpiresAt.gt(now))
            .one(self.db.reader())
            .await
            .map_err(database)?;
        row.map(Conversation::try_from).transpose()
    }

    async fn running(
        &self,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<GenerationId>, PortError> {
        let ids: Vec<Uuid> = generation::Entity::find()
            .select_only()
            .column(generation::Column::Id)
            .join(JoinType::InnerJoin, conversation_of_generation())
            .filter(generation::Column::EndedAt.is_null())
            .filter(Column::ExpiresAt.lte(now))
            .limit(u64::from(limit))
            .into_tuple()
            .all(self.db.reader())
            .await
            .map_err(database)?;
        Ok(ids.into_iter().map(GenerationId::from_uuid).collect())
    }

    async fn forget(&self, now: DateTime<Utc>, limit: u32) -> Result<u64, PortError> {
        self.db.write(move |tx| Box::pin(async move { forget(tx, now, limit).await })).await
    }
}

async fn forget(tx: &Transaction, now: DateTime<Utc>, limit: u32) -> Result<u64, PortError> {
    let rows = tx.query_all_raw(forgettable(tx.get_database_backend(), now, limit)).await;
    let guests = rows.map_err(database)?;
    let guests = guests.iter().map(|row| row.try_get_by_index::<Uuid>(0));
    let guests = guests.collect::<Result<Vec<_>, _>>().map_err(database)?;
    if guests.is_empty() {
        return Ok(0);
    }
    // Looked at again: a message may have been sent before the lock was had.
    let is_used = Query::select()
        .expr(Expr::val(1))
        .from(Entity)
        .and_where(Expr::col((Entity, Column::OwnerId)).equals((user::Entity, user::Column::Id)))
        .and_where(Column::ExpiresAt.gt(now))
        .take();
    let deleted = user::Entity::delete_many()
        .filter(user::Column::Id.is_in(guests.clone()))
        .filter(user::Column::Role.eq(Role::Guest.as_str()))
        .filter(Condition::not(Condition::all().add(Expr::exists(is_used))))
        .exec(tx)
        .await
        .map_err(database)?;
    // Without the key, what the audit log has of their addresses says nothing any more.
    let is_left = Query::select()
        .column(user::Column::Id)
        .from(user::Entity)
        .and_where(user::Column::Id.is_in(guests.clone()))
        .take();
    let used = Query::delete()
        .from_table("token_budgets")
        .and_where(Expr::col("subject_id").is_in(guests.clone()))
        .and_where(Expr::col("subject_id").not_in_subquery(is_left.clone()))
        .take();
    tx.execute(&used).await.map_err(database)?;
    subject_key::Entity::delete_many()
        .filter(subject_key::Column::UserId.is_in(guests))
        .filter(subject_key::Column::UserId.not_in_subquery(is_left))
        .exec(tx)
        .await
        .map_err(database)?;
    Ok(deleted.rows_affected)
}

fn forgettable(backend: DbBackend, now: DateTime<Utc>, limit: u32) -> Statement {
    let lock = if backend == DbBackend::Postgres { LOCKED } else { "" };
    let values = [now.into(), i64::from(limit).into()];
    statement(backend, &format!("{FORGETTABLE}{lock}"), values)
}

/// What expired is opened by its key no more, and deleted in its time.
fn let_go(key: SecretHash, now: DateTime<Utc>) -> impl QueryTrait {
    Entity::update_many()
        .col_expr(Column::GuestKeyHash, Expr::value(Option::<Vec<u8>>::None))
        .filter(Column::GuestKeyHash.eq(key.0.to_vec()))
        .filter(Column::ExpiresAt.lte(now))
}

fn conversation_of_generation() -> RelationDef {
    generation::Entity::belongs_to(Entity)
        .from(generation::Column::ConversationId)
        .to(Column::Id)
        .into()
}
