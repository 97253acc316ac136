//! A change to an account, with what follows from it, in one commit.

use repartee_application::ports::{AccountChange, AccountChanged, PortError, Watched};
use repartee_domain::{
    UserId,
    accounts::{Role, User},
    audit::AuditEntry,
};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockType},
};
use uuid::Uuid;

use super::{TABLE, UNIQUE};
use crate::persistence::{
    Database, Transaction, audit,
    entity::user::{Column, Entity},
    error::{database, taken},
    links,
    login_sessions::{revoke, tell, tokens_of},
};

pub(super) async fn change(
    db: &Database,
    change: AccountChange,
    entries: Vec<AuditEntry>,
) -> Result<AccountChanged, PortError> {
    let owner = change.user.id;
    let changed = if change.ends_sessions {
        db.write_telling(owner, Watched::SessionEnds, move |tx| {
            Box::pin(async move {
                tell(tx, owner, change.user.updated_at).await?;
                store(tx, change, entries).await
            })
        })
        .await
    } else {
        db.write(move |tx| Box::pin(async move { store(tx, change, entries).await })).await
    };
    // The role counts at once in this process, and so does the end of a session, also where the
    // commit failed: it may have come about all the same.
    db.endings().count();
    match changed {
        Err(PortError::Unavailable(error)) if error.is::<NoOtherAdmin>() => {
            Ok(AccountChanged::LastAdmin)
        }
        changed => changed,
    }
}

/// Undoes the transaction: what was told by it is not so.
#[derive(Debug, thiserror::Error)]
#[error("there is no other active administrator")]
struct NoOtherAdmin;

async fn store(
    tx: &Transaction,
    change: AccountChange,
    entries: Vec<AuditEntry>,
) -> Result<AccountChanged, PortError> {
    let AccountChange { user, needs_another_admin, ends_sessions, drops_links } = change;
    if needs_another_admin && !has_other_admin(tx, user.id).await? {
        return Err(PortError::Unavailable(NoOtherAdmin.into()));
    }
    let user = update(tx, user).await?;
    if ends_sessions {
        revoke(tx, tokens_of(user.id, None), user.updated_at).await?;
    }
    if drops_links {
        links::drop_unspent(tx, user.id, None).await?;
    }
    for entry in entries {
        audit::record(tx, entry).await?;
    }
    Ok(AccountChanged::Done(Box::new(user)))
}

/// The rows of all active administrators are locked, in one order: of two who would each take the
/// other for the last one, the second waits for the first and sees what it did. SQLite has one
/// writer anyway.
async fn has_other_admin(tx: &Transaction, user: UserId) -> Result<bool, PortError> {
    let admins: Vec<Uuid> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Role.eq(Role::Admin.as_str()))
        .filter(Column::IsActive.eq(true))
        .order_by_asc(Column::Id)
        .lock(LockType::NoKeyUpdate)
        .into_tuple()
        .all(tx)
        .await
        .map_err(database)?;
    Ok(admins.iter().any(|id| *id != user.as_uuid()))
}

async fn update(tx: &Transaction, user: User) -> Result<User, PortError> {
    let updated = Entity::update_many()
        .col_expr(Column::Email, Expr::value(user.email.as_str()))
        .col_expr(Column::EmailVerifiedAt, Expr::value(user.email_verified_at))
        .col_expr(Column::Role, Expr::value(user.role.as_str()))
        .col_expr(Column::IsActive, Expr::value(user.is_active))
        .col_expr(Column::UpdatedAt, Expr::value(user.updated_at))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(user.id.as_uuid()))
        .filter(Column::Version.eq(i64::from(user.version.get())))
        .exec(tx)
        .await
        .map_err(taken(TABLE, &UNIQUE))?;
    match updated.rows_affected {
        0 => Err(PortError::Stale),
        _ => Ok(User { version: user.version.next(), ..user }),
    }
}
