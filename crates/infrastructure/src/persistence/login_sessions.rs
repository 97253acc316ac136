//! Login sessions in the database: a chain of refresh tokens each.

mod devices;
mod principals;
mod revoking;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::{
    Page, PageRequest,
    ports::{
        Device, LoginSessionRepository, PasswordHash, PortError, Principal, StoredRefreshToken,
        Watched,
    },
};
use repartee_domain::{
    LoginSessionId, RefreshTokenId, UserId,
    accounts::{LoginSession, RefreshTokenHash},
    audit::AuditEntry,
};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, FromQueryResult, IntoActiveModel, JoinType, QueryFilter,
    QuerySelect, RelationTrait, UpdateMany,
    sea_query::{Expr, Query},
};
use secrecy::ExposeSecret;
use uuid::Uuid;

pub(super) use self::{
    principals::{Endings, Principals},
    revoking::{revoke, tell, tokens_of},
};
use super::{
    Database, audit,
    entity::{
        login_session::{Column, Entity, Model, Relation},
        user,
    },
    error::database,
    stored::{corrupt, parsed},
};

pub struct SeaLoginSessionRepository {
    db: Database,
    principals: Principals<LoginSessionId, Principal>,
}

impl SeaLoginSessionRepository {
    pub fn new(db: Database) -> Self {
        let principals = Principals::new(db.endings().clone());
        Self { db, principals }
    }

    /// Revokes the tokens that are chosen, all of one user, and tells their feed.
    async fn end_tokens(
        &self,
        owner: UserId,
        tokens: UpdateMany<Entity>,
        now: DateTime<Utc>,
        entry: AuditEntry,
    ) -> Result<(), PortError> {
        let revoked = self
            .db
            .write_telling(owner, Watched::SessionEnds, move |tx| {
                Box::pin(async move {
                    tell(tx, owner, now).await?;
                    let is_revoked = revoke(tx, tokens, now).await?;
                    // Where nothing was revoked there is nothing to tell.
                    if is_revoked { audit::record(tx, entry).await } else { Err(PortError::Stale) }
                })
            })
            .await;
        // Also where it failed: it may have been committed all the same.
        self.principals.forget();
        match revoked {
            Err(PortError::Stale) => Ok(()),
            revoked => revoked,
        }
    }
}

#[async_trait]
impl LoginSessionRepository for SeaLoginSessionRepository {
    async fn open(
        &self,
        session: LoginSession,
        proof: PasswordHash,
        entry: AuditEntry,
    ) -> Result<(), PortError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let user = user::Entity::update_many()
                        .col_expr(user::Column::LastLoginAt, Expr::value(session.signed_in_at))
                        .filter(user::Column::Id.eq(session.user.as_uuid()))
                        .filter(user::Column::PasswordHash.eq(proof.0.expose_secret()))
                        .filter(user::Column::IsActive.eq(true))
                        .exec(tx)
                        .await
                        .map_err(database)?;
                    if user.rows_affected == 0 {
                        return Err(PortError::Stale);
                    }
                    Entity::insert(Model::from_session(session, None).into_active_model())
                        .exec_without_returning(tx)
                        .await
                        .map_err(database)?;
                    audit::record(tx, entry).await
                })
            })
            .await
    }

    async fn find_token(
        &self,
        hash: RefreshTokenHash,
    ) -> Result<Option<StoredRefreshToken>, PortError> {
        let spent_successor = Query::select()
            .expr(Expr::val(1))
            .from_as(Entity, "successor")
            .and_where(Expr::col(("successor", Column::ReplacesId)).equals((Entity, Column::Id)))
            .and_where(Expr::col(("successor", Column::RotatedAt)).is_not_null())
            .take();
        let row = Entity::find()
            .expr_as(Expr::exists(spent_successor), "is_successor_used")
            .filter(Column::RefreshTokenHash.eq(hash.0.to_vec()))
            .into_model::<TokenRow>()
            .one(self.db.reader())
            .await
            .map_err(database)?;
        row.map(StoredRefreshToken::try_from).transpose()
    }

    async fn rotate(
        &self,
        spent: RefreshTokenId,
        next: LoginSession,
        entry: AuditEntry,
    ) -> Result<(), PortError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let rotated = Entity::update_many()
                        .col_expr(Column::RotatedAt, Expr::value(next.created_at))
                        .filter(Column::Id.eq(spent.as_uuid()))
                        .filter(Column::FamilyId.eq(next.id.as_uuid()))
                        .filter(Column::RotatedAt.is_null())
                        .filter(Column::RevokedAt.is_null())
                        .exec(tx)
                        .await
                        .map_err(database)?;
                    if rotated.rows_affected == 0 {
                        return Err(PortError::Stale);
                    }
                    Entity::insert(Model::from_session(next, Some(spent)).into_active_model())
                        .exec_without_returning(tx)
                        .await
                        .map_err(database)?;
                    audit::record(tx, entry).await
                })
            })
            .await
    }

    async fn end(
        &self,
        id: LoginSessionId,
        now: DateTime<Utc>,
        entry: AuditEntry,
    ) -> Result<(), PortError> {
        let owner: Option<Uuid> = Entity::find()
            .select_only()
            .column(Column::UserId)
            .filter(Column::FamilyId.eq(id.as_uuid()))
            .into_tuple()
            .one(self.db.reader())
            .await
            .map_err(database)?;
        let Some(owner) = owner else { return Ok(()) };
        let tokens = Entity::update_many().filter(Column::FamilyId.eq(id.as_uuid()));
        self.end_tokens(UserId::from_uuid(owner), tokens, now, entry).await
    }

    async fn end_all(
        &self,
        user: UserId,
        now: DateTime<Utc>,
        entry: AuditEntry,
    ) -> Result<(), PortError> {
        self.end_tokens(user, tokens_of(user, None), now, entry).await
    }

    async fn devices(
        &self,
        owner: UserId,
        page: PageRequest<LoginSessionId>,
        now: DateTime<Utc>,
    ) -> Result<Page<Device, LoginSessionId>, PortError> {
        devices::list(&self.db, owner, page, now).await
    }

    async fn is_device_of(
        &self,
        owner: UserId,
        id: LoginSessionId,
        now: DateTime<Utc>,
    ) -> Result<bool, PortError> {
        devices::is_there(&self.db, owner, id, now).await
    }

    async fn principal(
        &self,
        id: LoginSessionId,
        now: DateTime<Utc>,
    ) -> Result<Option<Principal>, PortError> {
        if let Some(principal) = self.principals.get(&id, now) {
            return Ok(Some(principal));
        }
        let moment = self.principals.now();
        let row: Option<(Uuid, String, DateTime<Utc>)> = Entity::find()
            .select_only()
            .column(Column::UserId)
            .column(user::Column::Role)
            .column(Column::ExpiresAt)
            .join(JoinType::InnerJoin, Relation::User.def())
            .filter(Column::FamilyId.eq(id.as_uuid()))
            .filter(Column::RotatedAt.is_null())
            .filter(Column::RevokedAt.is_null())
            .filter(Column::ExpiresAt.gt(now))
            .filter(user::Column::IsActive.eq(true))
            .into_tuple()
            .one(self.db.reader())
            .await
            .map_err(database)?;
        let Some((user, role, expires_at)) = row else { return Ok(None) };
        let principal = Principal { user: UserId::from_uuid(user), role: parsed(&role)? };
        self.principals.remember(id, principal, expires_at, moment);
        Ok(Some(principal))
    }
}

#[derive(FromQueryResult)]
struct TokenRow {
    #[sea_orm(nested)]
    token: Model,
    is_successor_used: bool,
}

impl TryFrom<TokenRow> for StoredRefreshToken {
    type Error = PortError;

    fn try_from(row: TokenRow) -> Result<Self, PortError> {
        let TokenRow { token, is_successor_used } = row;
        let hash = token.refresh_token_hash.try_into();
        Ok(Self {
            is_revoked: token.revoked_at.is_some(),
            rotated_at: token.rotated_at,
            is_successor_used,
            session: LoginSession {
                id: LoginSessionId::from_uuid(token.family_id),
                token: RefreshTokenId::from_uuid(token.id),
                user: UserId::from_uuid(token.user_id),
                token_hash: RefreshTokenHash(hash.map_err(|_| corrupt("not a SHA-256"))?),
                user_agent: token.user_agent,
                ip: token.ip,
                signed_in_at: token.signed_in_at,
                expires_at: token.expires_at,
                created_at: token.created_at,
            },
        })
    }
}

impl Model {
    /// A token that is unspent; `replaces` is the one that was spent for it.
    pub(super) fn from_session(session: LoginSession, replaces: Option<RefreshTokenId>) -> Self {
        Self {
            id: session.token.as_uuid(),
            family_id: session.id.as_uuid(),
            user_id: session.user.as_uuid(),
            replaces_id: replaces.map(RefreshTokenId::as_uuid),
            refresh_token_hash: session.token_hash.0.to_vec(),
            user_agent: session.user_agent,
            ip: session.ip,
            signed_in_at: session.signed_in_at,
            expires_at: session.expires_at,
            rotated_at: None,
            revoked_at: None,
            created_at: session.created_at,
        }
    }
}
