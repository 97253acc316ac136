//! Tickets in the database.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::ports::{PortError, SecretHash, SignedIn, Ticket, TicketRepository};
use repartee_domain::{GenerationId, LoginSessionId, UserId};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect, QueryTrait, Select,
    UpdateMany, sea_query::Expr,
};

use super::{
    Database,
    entity::single_use_secret::{Column, Entity, Model},
    error::database,
    stored::corrupt,
};

/// What the secrets are for.
const PURPOSE: &str = "ticket";

pub struct SeaTicketRepository {
    db: Database,
}

impl SeaTicketRepository {
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    async fn find(&self, tickets: Select<Entity>) -> Result<Option<Ticket>, PortError> {
        let row = tickets.one(self.db.reader()).await.map_err(database)?;
        row.map(Ticket::try_from).transpose()
    }

    /// How many there were.
    async fn update(&self, tickets: UpdateMany<Entity>) -> Result<u64, PortError> {
        let updated = self
            .db
            .write(move |tx| Box::pin(async move { tickets.exec(tx).await.map_err(database) }))
            .await?;
        Ok(updated.rows_affected)
    }
}

#[async_trait]
impl TicketRepository for SeaTicketRepository {
    async fn store(&self, ticket: Ticket) -> Result<(), PortError> {
        let insert = Entity::insert(Model::from(ticket).into_active_model());
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    insert.exec_without_returning(tx).await.map(drop).map_err(database)
                })
            })
            .await
    }

    async fn spend(
        &self,
        hash: SecretHash,
        now: DateTime<Utc>,
    ) -> Result<Option<Ticket>, PortError> {
        // What a ticket says never changes, and who guesses has no business with the writer.
        let unspent = tickets(hash).filter(Column::SpentAt.is_null());
        let found = self.find(unspent.filter(Column::ExpiresAt.gt(now))).await?;
        let Some(ticket) = found else { return Ok(None) };
        let spend = changing(hash)
            .col_expr(Column::SpentAt, Expr::value(now))
            .filter(Column::SpentAt.is_null());
        Ok((self.update(spend).await? > 0).then_some(ticket))
    }

    async fn bind(&self, hash: SecretHash, generation: GenerationId) -> Result<(), PortError> {
        let bind = changing(hash)
            .col_expr(Column::GenerationId, Expr::value(generation.as_uuid()))
            .filter(Column::SpentAt.is_not_null())
            .filter(Column::GenerationId.is_null());
        self.update(bind).await.map(drop)
    }

    async fn opened(
        &self,
        hash: SecretHash,
        generation: GenerationId,
        now: DateTime<Utc>,
    ) -> Result<Option<Ticket>, PortError> {
        let opened = tickets(hash)
            .filter(Column::SpentAt.is_not_null())
            .filter(Column::GenerationId.eq(generation.as_uuid()))
            .filter(Column::ResumesUntil.gt(now));
        self.find(opened).await
    }

    async fn forget(&self, now: DateTime<Utc>, limit: u32) -> Result<u64, PortError> {
        let useless = Entity::find()
            .select_only()
            .column(Column::SecretHash)
            .filter(Column::ResumesUntil.lte(now))
            .limit(u64::from(limit))
            .into_query();
        let delete = Entity::delete_many().filter(Column::SecretHash.in_subquery(useless));
        let deleted = self
            .db
            .write(move |tx| Box::pin(async move { delete.exec(tx).await.map_err(database) }))
            .await?;
        Ok(deleted.rows_affected)
    }
}

fn tickets(hash: SecretHash) -> Select<Entity> {
    Entity::find()
        .filter(Column::SecretHash.eq(hash.0.to_vec()))
        .filter(Column::Purpose.eq(PURPOSE))
}

fn changing(hash: SecretHash) -> UpdateMany<Entity> {
    Entity::update_many()
        .filter(Column::SecretHash.eq(hash.0.to_vec()))
        .filter(Column::Purpose.eq(PURPOSE))
}

impl From<Ticket> for Model {
    fn from(ticket: Ticket) -> Self {
        let (session_id, token_expires_at) = match ticket.signed_in {
            SignedIn::Here(session) => (Some(session.as_uuid()), None),
            SignedIn::Elsewhere { expires_at } => (None, Some(expires_at)),
        };
        Self {
            secret_hash: ticket.hash.0.to_vec(),
            purpose: PURPOSE.to_owned(),
            user_id: ticket.user.as_uuid(),
            session_id,
            token_expires_at,
            generation_id: None,
            expires_at: ticket.expires_at,
            resumes_until: ticket.resumes_until,
            spent_at: None,
        }
    }
}

impl TryFrom<Model> for Ticket {
    type Error = PortError;

    fn try_from(row: Model) -> Result<Self, PortError> {
        let hash = row.secret_hash.try_into().map_err(|_| corrupt("not a SHA-256"))?;
        let signed_in = match (row.session_id, row.token_expires_at) {
            (Some(session), None) => SignedIn::Here(LoginSessionId::from_uuid(session)),
            (None, Some(expires_at)) => SignedIn::Elsewhere { expires_at },
            _ => return Err(corrupt("a ticket of neither or both of a session and a token")),
        };
        Ok(Self {
            hash: SecretHash(hash),
            user: UserId::from_uuid(row.user_id),
            signed_in,
            expires_at: row.expires_at,
            resumes_until: row.resumes_until,
        })
    }
}
