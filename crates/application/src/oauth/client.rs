//! Programs that say who they are: with the id and the secret of a key.

use chrono::{DateTime, Utc};
use repartee_domain::ApiKeyId;
use secrecy::{ExposeSecret, SecretString};

use super::{OauthError, OauthService};
use crate::{Origin, ports::GoodKey};

/// RFC 6749, 2.3.1.
#[derive(Debug, Clone)]
pub struct ClientCredentials {
    pub id: String,
    pub secret: SecretString,
}

impl OauthService {
    pub(super) async fn client(
        &self,
        given: &ClientCredentials,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<GoodKey, OauthError> {
        let Ok(id) = given.id.parse::<ApiKeyId>() else { return Err(OauthError::InvalidClient) };
        let found = self.ports.authenticator.key(given.secret.expose_secret(), origin, now).await?;
        found.filter(|good| good.key.id == id).ok_or(OauthError::InvalidClient)
    }
}
