//! Tokens of another issuer.

mod claims;
mod jwks;
mod key_set;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use repartee_application::ports::{ExternalClaims, ExternalTokens, PortError};
use secrecy::{ExposeSecret, SecretString};

pub use self::key_set::KeySet;
use self::{claims::Claims, jwks::Jwks};
use super::jwt::{CheckingKey, media_type, plain_header};

/// What a token for an API may say that it is; most issuers say no more than `JWT`. A token for
/// something else, as of a log-out, says so (RFC 8725, 3.11).
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

#[derive(Debug, Clone)]
pub struct ExternalIssuerSettings {
    pub keys: ExternalKeys,
    /// `iss`.
    pub issuer: String,
    /// What `aud` must have in it. Without one, a token that is meant for somebody is refused.
    pub audience: Option<String>,
}

/// What the tokens are signed with.
#[derive(Debug, Clone)]
pub enum ExternalKeys {
    /// HS256 with a secret that is shared.
    Secret(SecretString),
    /// Keys that are published there (RFC 7517).
    Jwks(reqwest::Url),
}

/// The one other issuer whose tokens are taken.
pub struct ExternalIssuer {
    source: Source,
    issuer: String,
    audience: Option<String>,
}

enum Source {
    Secret(Box<CheckingKey>),
    Jwks(Jwks),
}

impl ExternalIssuer {
    /// Reads nothing yet: the issuer may start later.
    ///
    /// # Errors
    /// When there is no TLS to be had.
    pub fn new(settings: ExternalIssuerSettings) -> Result<Self, reqwest::Error> {
        let source = match settings.keys {
            ExternalKeys::Secret(secret) => {
                let key = CheckingKey::of_secret(secret.expose_secret().as_bytes());
                Source::Secret(Box::new(key))
            }
            ExternalKeys::Jwks(url) => Source::Jwks(Jwks::at(url)?),
        };
        Ok(Self { source, issuer: settings.issuer, audience: settings.audience })
    }

    async fn open(
        &self,
        token: &str,
        key_id: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Option<Claims>, PortError> {
        match &self.source {
            Source::Secret(key) => Ok(key.open(token)),
            Source::Jwks(jwks) => {
                let keys = jwks.with(key_id, now).await?;
                Ok(keys.find(key_id).and_then(|key| key.open(token)))
            }
        }
    }
}

#[async_trait]
impl ExternalTokens for ExternalIssuer {
    async fn verify(
        &self,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<ExternalClaims>, PortError> {
        let Some(header) = plain_header(token) else { return Ok(None) };
        if media_type(&header).is_some_and(|typ| !TYPES.contains(&typ.as_str())) {
            return Ok(None);
        }
        // For what does not even say that it is theirs nobody is asked for keys.
        let Some(claimed) = Claims::unchecked(token) else { return Ok(None) };
        if !claimed.are_good(&self.issuer, self.audience.as_deref(), now) {
            return Ok(None);
        }
        let claims = self.open(token, header.kid.as_deref(), now).await?;
        let claims = claims.filter(|c| c.are_good(&self.issuer, self.audience.as_deref(), now));
        Ok(claims.and_then(Claims::into_external))
    }
}

#[cfg(test)]
mod tests;
