//! Pages of the audit log, what is personal decrypted.

use std::collections::{BTreeSet, HashMap};

use repartee_application::{
    Page, PageRequest,
    audit::ChainHash,
    ports::{AuditFilter, AuditKey, PortError, RecordedEntry},
};
use repartee_domain::{UserId, audit::Personal};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, SimpleExpr},
};
use uuid::Uuid;

use super::personal;
use crate::persistence::{
    Reader,
    entity::{
        audit_log::{Column, Entity, Model},
        subject_key,
    },
    error::database,
    stored::number,
};

type Keys = HashMap<Uuid, Vec<u8>>;

/// Two queries: one for the entries, one for the keys to them.
pub(super) async fn page(
    reader: &Reader,
    filter: AuditFilter,
    page: PageRequest<AuditKey>,
) -> Result<Page<RecordedEntry, AuditKey>, PortError> {
    let mut rows = filtered(filter)
        .order_by_desc(Column::At)
        .order_by_desc(Column::Id)
        .limit(u64::from(page.limit) + 1);
    if let Some(key) = page.after {
        rows = rows.filter(before(key));
    }
    let rows = rows.all(reader).await.map_err(database)?;
    let keys = keys(reader, &rows).await?;
    let entries = rows.into_iter().map(|row| read(row, &keys)).collect::<Result<_, _>>()?;
    Ok(Page::of(entries, page.limit, |entry: &RecordedEntry| entry.key))
}

fn filtered(filter: AuditFilter) -> Select<Entity> {
    let conditions = [
        filter.user.map(|user| Column::UserId.eq(user.as_uuid())),
        filter.action.map(|action| Column::Action.eq(action.as_str())),
        filter.outcome.map(|outcome| Column::Outcome.eq(outcome.as_str())),
        filter.from.map(|from| Column::At.gte(from)),
        filter.to.map(|to| Column::At.lt(to)),
    ];
    conditions.into_iter().flatten().fold(Entity::find(), QueryFilter::filter)
}

/// Row by row: with two separate conditions neither database would begin in the middle of the
/// index.
fn before(key: AuditKey) -> SimpleExpr {
    let place = Expr::tuple([Column::At.into_expr(), Column::Id.into_expr()]);
    place.lt(Expr::tuple([Expr::value(key.at), Expr::value(key.id)]))
}

async fn keys(reader: &Reader, rows: &[Model]) -> Result<Keys, PortError> {
    let encrypted = rows.iter().filter(|row| row.personal.is_some());
    let users: BTreeSet<Uuid> = encrypted.filter_map(|row| row.user_id).collect();
    if users.is_empty() {
        return Ok(Keys::new());
    }
    let rows = subject_key::Entity::find()
        .filter(subject_key::Column::UserId.is_in(users))
        .all(reader)
        .await
        .map_err(database)?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.key)).collect())
}

fn read(row: Model, keys: &Keys) -> Result<RecordedEntry, PortError> {
    let personal = match (row.user_id, &row.personal) {
        (Some(user), Some(text)) => {
            let key = keys.get(&user);
            key.and_then(|key| personal::decrypt(key, UserId::from_uuid(user), text))
        }
        _ => None,
    };
    let personal =
        personal.unwrap_or(Personal { ip_address: row.ip_address, ..Personal::default() });
    let hash = row.hash.as_deref().and_then(ChainHash::from_slice);
    let position = row.position.map(number).transpose()?;
    Ok(RecordedEntry {
        key: AuditKey { at: row.at, id: row.id },
        user: row.user_id.map(UserId::from_uuid),
        actor: row.actor,
        action: row.action,
        resource: row.resource,
        resource_id: row.resource_id,
        outcome: row.outcome,
        details: row.details,
        personal,
        request_id: row.request_id,
        sealed: position.zip(hash),
    })
}
