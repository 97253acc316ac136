//! An entry is stored by the transaction that does what it tells of.

use async_trait::async_trait;
use repartee_application::ports::{AuditRecorder, PortError};
use repartee_domain::audit::AuditEntry;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    EntityTrait,
};

use super::personal;
use crate::persistence::{
    Database, Transaction,
    entity::audit_log::{ActiveModel, Entity},
    error::database,
    stored::corrupt,
};

/// Records what no other commit tells of.
pub struct SeaAuditRecorder {
    db: Database,
}

impl SeaAuditRecorder {
    pub fn new(db: Database) -> Self {
        Self { db }
    }
}

#[async_trait]
impl AuditRecorder for SeaAuditRecorder {
    async fn record(&self, entry: AuditEntry) -> Result<(), PortError> {
        self.db.write(move |tx| Box::pin(record(tx, entry))).await
    }
}

/// Stores an entry in this transaction. It is put into the hash chain later, in order, by one
/// writer: no transaction waits for the chain.
pub(in crate::persistence) async fn record(
    tx: &Transaction,
    entry: AuditEntry,
) -> Result<(), PortError> {
    let user = entry.actor.user();
    let details = serde_json::to_string(&entry.details).map_err(corrupt)?;
    let (ip_address, personal) = match user {
        Some(user) => (None, personal::encrypt(tx, user, &entry.personal, entry.at).await?),
        None => (entry.personal.ip_address, None),
    };
    let (resource, resource_id) = match entry.resource {
        Some(resource) => (Some(resource.kind.to_owned()), Some(resource.id)),
        None => (None, None),
    };
    let row = ActiveModel {
        id: NotSet,
        user_id: Set(user.map(repartee_domain::UserId::as_uuid)),
        actor: Set(entry.actor.kind().to_owned()),
        action: Set(entry.action.as_str().to_owned()),
        resource: Set(resource),
        resource_id: Set(resource_id),
        outcome: Set(entry.outcome.as_str().to_owned()),
        details: Set(details),
        ip_address: Set(ip_address),
        personal: Set(personal),
        request_id: Set(entry.request_id),
        at: Set(entry.at),
        position: Set(None),
        previous_hash: Set(None),
        hash: Set(None),
    };
    Entity::insert(row).exec_without_returning(tx).await.map(drop).map_err(database)
}
