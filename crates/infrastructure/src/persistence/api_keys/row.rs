//! A key as it is stored.

use repartee_application::ports::{PortError, SecretHash};
use repartee_domain::{ApiKeyId, UserId, accounts::ApiKey};

use crate::persistence::{
    entity::api_key::Model,
    stored::{corrupt, number, parsed},
};

pub(super) fn to_row(key: ApiKey, secret: SecretHash) -> Result<Model, PortError> {
    let models = key.models.map(|models| serde_json::to_string(&models)).transpose();
    let budget = key.monthly_token_budget.map(i64::try_from).transpose();
    Ok(Model {
        id: key.id.as_uuid(),
        user_id: key.owner.as_uuid(),
        name: key.name,
        prefix: key.prefix,
        secret_hash: secret.0.to_vec(),
        scopes: key.scopes.to_string(),
        models: models.map_err(corrupt)?,
        requests_per_minute: key.requests_per_minute.map(i64::from),
        monthly_token_budget: budget.map_err(corrupt)?,
        last_used_at: key.last_used_at,
        expires_at: key.expires_at,
        revoked_at: key.revoked_at,
        created_at: key.created_at,
    })
}

impl TryFrom<Model> for ApiKey {
    type Error = PortError;

    fn try_from(row: Model) -> Result<Self, PortError> {
        let models = row.models.as_deref().map(serde_json::from_str).transpose();
        Ok(Self {
            id: ApiKeyId::from_uuid(row.id),
            owner: UserId::from_uuid(row.user_id),
            name: row.name,
            prefix: row.prefix,
            scopes: parsed(&row.scopes)?,
            models: models.map_err(corrupt)?,
            requests_per_minute: row.requests_per_minute.map(number).transpose()?,
            monthly_token_budget: row.monthly_token_budget.map(number).transpose()?,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            created_at: row.created_at,
        })
    }
}
