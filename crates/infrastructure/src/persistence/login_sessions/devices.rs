//! A user's login sessions as a list.

use chrono::{DateTime, Utc};
use repartee_application::{
    Page, PageRequest,
    ports::{Device, PortError},
};
use repartee_domain::{LoginSessionId, UserId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use crate::persistence::{
    Database,
    entity::login_session::{Column, Entity, Model},
    error::database,
};

pub(super) async fn list(
    db: &Database,
    owner: UserId,
    page: PageRequest<LoginSessionId>,
    now: DateTime<Utc>,
) -> Result<Page<Device, LoginSessionId>, PortError> {
    let mut rows = good(owner, now)
        // The ids ascend in the order in which they were made.
        .order_by_desc(Column::FamilyId)
        .limit(u64::from(page.limit) + 1);
    if let Some(after) = page.after {
        rows = rows.filter(Column::FamilyId.lt(after.as_uuid()));
    }
    let rows = rows.all(db.reader()).await.map_err(database)?;
    let devices = rows.into_iter().map(Device::from).collect();
    Ok(Page::of(devices, page.limit, |device: &Device| device.id))
}

pub(super) async fn is_there(
    db: &Database,
    owner: UserId,
    id: LoginSessionId,
    now: DateTime<Utc>,
) -> Result<bool, PortError> {
    let found = good(owner, now).filter(Column::FamilyId.eq(id.as_uuid()));
    Ok(found.one(db.reader()).await.map_err(database)?.is_some())
}

/// Of each session that is good, the one token that is unspent.
fn good(owner: UserId, now: DateTime<Utc>) -> Select<Entity> {
    Entity::find()
        .filter(Column::UserId.eq(owner.as_uuid()))
        .filter(Column::RotatedAt.is_null())
        .filter(Column::RevokedAt.is_null())
        .filter(Column::ExpiresAt.gt(now))
}

impl From<Model> for Device {
    fn from(token: Model) -> Self {
        Self {
            id: LoginSessionId::from_uuid(token.family_id),
            user_agent: token.user_agent,
            ip: token.ip,
            signed_in_at: token.signed_in_at,
            last_used_at: token.created_at,
            expires_at: token.expires_at,
        }
    }
}
