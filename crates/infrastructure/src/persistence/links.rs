//! Links in mails, in the database.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::ports::{
    LinkPurpose, LinkRepository, MailedLink, PasswordReset, PortError, SecretHash, Watched,
};
use repartee_domain::{UserId, audit::AuditEntry};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, Func},
};
use secrecy::ExposeSecret;

use super::{
    Database, Transaction, audit,
    entity::{
        single_use_secret::{Column, Entity, Model},
        user,
    },
    error::{database, is_dangling},
    login_failures,
    login_sessions::{revoke, tell, tokens_of},
};

/// Links to choose a new password that a user may have at once: so many mails an hour.
const MOST_RESETS: u64 = 5;

pub struct SeaLinkRepository {
    db: Database,
}

impl SeaLinkRepository {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl LinkRepository for SeaLinkRepository {
    async fn store(&self, link: MailedLink, entry: Option<AuditEntry>) -> Result<(), PortError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    match link.purpose {
                        // Anybody may ask for one: it drops none that the owner may be using.
                        LinkPurpose::ResetPassword if unspent(tx, &link).await? >= MOST_RESETS => {
                            return Err(PortError::Stale);
                        }
                        LinkPurpose::ResetPassword => {}
                        purpose @ LinkPurpose::VerifyEmail => {
                            drop_unspent(tx, link.user, Some(purpose)).await?;
                        }
                    }
                    let insert = Entity::insert(Model::from(link).into_active_model());
                    insert.exec_without_returning(tx).await.map_err(|error| {
                        if is_dangling(&error) { PortError::Stale } else { database(error) }
                    })?;
                    match entry {
                        Some(entry) => audit::record(tx, entry).await,
                        None => Ok(()),
                    }
                })
            })
            .await
    }

    async fn owner(
        &self,
        hash: SecretHash,
        purpose: LinkPurpose,
        now: DateTime<Utc>,
    ) -> Result<Option<UserId>, PortError> {
        let owner: Option<uuid::Uuid> = Entity::find()
            .select_only()
            .column(Column::UserId)
            .filter(Column::SecretHash.eq(hash.0.to_vec()))
            .filter(Column::Purpose.eq(word(purpose)))
            .filter(Column::SpentAt.is_null())
            .filter(Column::ExpiresAt.gt(now))
            .into_tuple()
            .one(self.db.reader())
            .await
            .map_err(database)?;
        Ok(owner.map(UserId::from_uuid))
    }

    async fn reset_password(
        &self,
        reset: PasswordReset,
        entry: AuditEntry,
    ) -> Result<(), PortError> {
        let PasswordReset { link, user: owner, password, names, at } = reset;
        let reset = self
            .db
            .write_telling(owner, Watched::SessionEnds, move |tx| {
                Box::pin(async move {
                    tell(tx, owner, at).await?;
                    // The user's row before those of links, as who changes an account locks them.
                    verified(owner, at)
                        .col_expr(
                            user::Column::PasswordHash,
                            Expr::value(password.0.expose_secret()),
                        )
                        .exec(tx)
                        .await
                        .map_err(database)?;
                    spend(tx, link, LinkPurpose::ResetPassword, owner, at).await?;
                    drop_unspent(tx, owner, Some(LinkPurpose::ResetPassword)).await?;
                    revoke(tx, tokens_of(owner, None), at).await?;
                    login_failures::clear(tx, &names).await?;
                    audit::record(tx, entry).await
                })
            })
            .await;
        // Also where it failed: it may have been committed all the same.
        self.db.endings().count();
        reset
    }

    async fn verify_email(
        &self,
        link: SecretHash,
        owner: UserId,
        now: DateTime<Utc>,
        entry: AuditEntry,
    ) -> Result<(), PortError> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    verified(owner, now).exec(tx).await.map_err(database)?;
                    spend(tx, link, LinkPurpose::VerifyEmail, owner, now).await?;
                    audit::record(tx, entry).await
                })
            })
            .await
    }
}

/// Of any number who spend a link at once, the row is one's.
async fn spend(
    tx: &Transaction,
    link: SecretHash,
    purpose: LinkPurpose,
    owner: UserId,
    now: DateTime<Utc>,
) -> Result<(), PortError> {
    let spent = Entity::update_many()
        .col_expr(Column::SpentAt, Expr::value(now))
        .filter(Column::SecretHash.eq(link.0.to_vec()))
        .filter(Column::Purpose.eq(word(purpose)))
        .filter(Column::UserId.eq(owner.as_uuid()))
        .filter(Column::SpentAt.is_null())
        .filter(Column::ExpiresAt.gt(now))
        .exec(tx)
        .await
        .map_err(database)?;
    if spent.rows_affected == 1 { Ok(()) } else { Err(PortError::Stale) }
}

/// A mail arrived at the user's address: the first time counts.
fn verified(owner: UserId, now: DateTime<Utc>) -> sea_orm::UpdateMany<user::Entity> {
    let first = Func::coalesce([Expr::col(user::Column::EmailVerifiedAt), Expr::value(now)]);
    user::Entity::update_many()
        .col_expr(user::Column::EmailVerifiedAt, first.into())
        .col_expr(user::Column::UpdatedAt, Expr::value(now))
        .col_expr(user::Column::Version, Expr::col(user::Column::Version).add(1))
        .filter(user::Column::Id.eq(owner.as_uuid()))
}

/// Links like this one that wait; expired ones are forgotten within minutes.
async fn unspent(tx: &Transaction, link: &MailedLink) -> Result<u64, PortError> {
    Entity::find()
        .filter(Column::UserId.eq(link.user.as_uuid()))
        .filter(Column::Purpose.eq(word(link.purpose)))
        .filter(Column::SpentAt.is_null())
        .count(tx)
        .await
        .map_err(database)
}

/// Drops a user's links, those for one purpose or for any, that were not spent.
pub(super) async fn drop_unspent(
    tx: &Transaction,
    owner: UserId,
    purpose: Option<LinkPurpose>,
) -> Result<(), PortError> {
    let both = [LinkPurpose::ResetPassword, LinkPurpose::VerifyEmail];
    let words = both.into_iter().filter(|known| purpose.is_none_or(|one| one == *known)).map(word);
    Entity::delete_many()
        .filter(Column::UserId.eq(owner.as_uuid()))
        .filter(Column::Purpose.is_in(words))
        .filter(Column::SpentAt.is_null())
        .exec(tx)
        .await
        .map(drop)
        .map_err(database)
}

/// As it is stored.
const fn word(purpose: LinkPurpose) -> &'static str {
    match purpose {
        LinkPurpose::ResetPassword => "reset",
        LinkPurpose::VerifyEmail => "verify",
    }
}

impl From<MailedLink> for Model {
    fn from(link: MailedLink) -> Self {
        Self {
            secret_hash: link.hash.0.to_vec(),
            purpose: word(link.purpose).to_owned(),
            user_id: link.user.as_uuid(),
            session_id: None,
            token_expires_at: None,
            generation_id: None,
            expires_at: link.expires_at,
            resumes_until: link.expires_at,
            spent_at: None,
        }
    }
}
