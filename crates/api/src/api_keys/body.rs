//! What keys look like on the wire.

use chrono::{DateTime, Utc};
use repartee_application::api_keys::MadeKey;
use repartee_domain::accounts::{ApiKey, NewApiKey, Scope};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::time::{rfc3339, rfc3339_option};

#[derive(Deserialize, ToSchema)]
#[schema(example = json!({"name": "a script", "scopes": ["chat"], "requests_per_minute": 60}))]
pub(crate) struct NewApiKeyBody {
    /// What its owner knows it by: at most 100 characters.
    name: String,
    /// Any of `chat`, `read`, `files`, `audio`, `knowledge` and `analytics`; `chat` alone where
    /// there are none.
    scopes: Option<Vec<String>>,
    /// The models that it may ask; every one where there are none.
    models: Option<Vec<String>>,
    expires_at: Option<DateTime<Utc>>,
    #[schema(minimum = 1)]
    requests_per_minute: Option<u32>,
    /// Tokens in a calendar month (UTC).
    #[schema(minimum = 1)]
    monthly_token_budget: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeyBody {
    id: Uuid,
    name: String,
    /// The first 12 characters of the secret.
    #[schema(example = "rpt_Ab3-x9Yz")]
    prefix: String,
    scopes: Vec<&'static str>,
    models: Option<Vec<String>>,
    requests_per_minute: Option<u32>,
    monthly_token_budget: Option<u64>,
    /// To the minute.
    #[serde(serialize_with = "rfc3339_option")]
    last_used_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "rfc3339_option")]
    expires_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "rfc3339_option")]
    revoked_at: Option<DateTime<Utc>>,
    #[serde(serialize_with = "rfc3339")]
    created_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MadeKeyBody {
    #[serde(flatten)]
    key: ApiKeyBody,
    /// Shown this once.
    #[schema(example = "rpt_Ab3-x9YzQm0sV7tJk2wLhR5nE8uG1cFqD4iBoXpT6aK")]
    secret: String,
}

impl From<NewApiKeyBody> for NewApiKey {
    fn from(body: NewApiKeyBody) -> Self {
        Self {
            name: body.name,
            scopes: body.scopes,
            models: body.models,
            expires_at: body.expires_at,
            requests_per_minute: body.requests_per_minute,
            monthly_token_budget: body.monthly_token_budget,
        }
    }
}

impl From<ApiKey> for ApiKeyBody {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.as_uuid(),
            name: key.name,
            prefix: key.prefix,
            scopes: key.scopes.iter().map(Scope::as_str).collect(),
            models: key.models,
            requests_per_minute: key.requests_per_minute,
            monthly_token_budget: key.monthly_token_budget,
            last_used_at: key.last_used_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            created_at: key.created_at,
        }
    }
}

impl From<MadeKey> for MadeKeyBody {
    fn from(made: MadeKey) -> Self {
        Self { secret: made.secret.expose_secret().to_owned(), key: made.key.into() }
    }
}
