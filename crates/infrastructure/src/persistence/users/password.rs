//! A password that takes another one's place.

use repartee_application::ports::{LinkPurpose, PasswordChange, PortError, Watched};
use repartee_domain::audit::AuditEntry;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use secrecy::ExposeSecret;

use crate::persistence::{
    Database, audit,
    entity::user::{Column, Entity},
    error::database,
    links,
    login_sessions::{revoke, tell, tokens_of},
};

pub(super) async fn change(
    db: &Database,
    change: PasswordChange,
    entry: AuditEntry,
) -> Result<(), PortError> {
    let PasswordChange { user, old, new, keep, at } = change;
    let update = Entity::update_many()
        .col_expr(Column::PasswordHash, Expr::value(new.0.expose_secret()))
        .filter(Column::Id.eq(user.as_uuid()))
        .filter(Column::PasswordHash.eq(old.0.expose_secret()));
    let changed = db
        .write_telling(user, Watched::SessionEnds, move |tx| {
            Box::pin(async move {
                tell(tx, user, at).await?;
                let changed = update.exec(tx).await.map_err(database)?;
                if changed.rows_affected == 0 {
                    return Err(PortError::Stale);
                }
                revoke(tx, tokens_of(user, keep), at).await?;
                links::drop_unspent(tx, user, Some(LinkPurpose::ResetPassword)).await?;
                audit::record(tx, entry).await
            })
        })
        .await;
    // Also where it failed: it may have been committed all the same.
    db.endings().count();
    changed
}
