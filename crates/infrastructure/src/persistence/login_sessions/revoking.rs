//! Ending login sessions, alone or with what else is done in the same commit.

use chrono::{DateTime, Utc};
use repartee_application::ports::PortError;
use repartee_domain::{LoginSessionId, UserId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, UpdateMany, sea_query::Expr};

use crate::persistence::{
    Transaction,
    entity::login_session::{Column, Entity},
    error::{database, is_dangling},
    feeds::{Told, telling},
};

/// Tells the user's feed that a login session ends. It comes first in its transaction, for it locks
/// what everybody who writes what is this user's locks first.
///
/// # Errors
/// [`PortError::Stale`] when the user is gone.
pub(in crate::persistence) async fn tell(
    tx: &Transaction,
    owner: UserId,
    now: DateTime<Utc>,
) -> Result<(), PortError> {
    let told = telling(tx, owner, now, &[Told::session_ended()]).run(tx).await;
    told.map(drop).map_err(
        |error| {
            if is_dangling(&error) { PortError::Stale } else { database(error) }
        },
    )
}

/// Every token of a user but those of the session that goes on.
pub(in crate::persistence) fn tokens_of(
    owner: UserId,
    keep: Option<LoginSessionId>,
) -> UpdateMany<Entity> {
    let tokens = Entity::update_many().filter(Column::UserId.eq(owner.as_uuid()));
    match keep {
        Some(kept) => tokens.filter(Column::FamilyId.ne(kept.as_uuid())),
        None => tokens,
    }
}

/// Revokes the tokens that are chosen, and those that follow them meanwhile. `false` where there
/// was nothing to revoke.
pub(in crate::persistence) async fn revoke(
    tx: &Transaction,
    tokens: UpdateMany<Entity>,
    now: DateTime<Utc>,
) -> Result<bool, PortError> {
    let revoke =
        tokens.col_expr(Column::RevokedAt, Expr::value(now)).filter(Column::RevokedAt.is_null());
    let mut is_revoked = false;
    // On PostgreSQL a rotation that was under way adds a token which the statement that waited for
    // it cannot see yet. The next one does.
    while revoke.clone().exec(tx).await.map_err(database)?.rows_affected > 0 {
        is_revoked = true;
    }
    Ok(is_revoked)
}
