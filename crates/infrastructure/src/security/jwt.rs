//! Access tokens: JSON Web Tokens in the profile of RFC 9068.

mod key;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use chrono::{DateTime, Utc};
use jsonwebtoken::Header;
use repartee_application::ports::{
    AccessClaims, Holder, NameHash, PortError, PublicKey, SecretHash, TokenSigner,
};
use repartee_domain::{ApiKeyId, LoginSessionId, UserId, accounts::RefreshTokenHash};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub(super) use self::key::{CheckingKey, media_type, plain_header};
pub use self::key::{KeyError, SigningKey};

/// RFC 9068, 2.1.
const TYPE: &str = "at+jwt";
/// How far two clocks may be apart. Seconds.
pub(super) const LEEWAY: i64 = 30;

#[derive(Debug)]
pub struct JwtSettings {
    /// Signs, and checks.
    pub key: SigningKey,
    /// Check what they signed before the key was changed.
    pub previous_keys: Vec<SigningKey>,
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
}

/// Signs and checks access tokens.
pub struct JwtSigner {
    key: SigningKey,
    header: Header,
    /// The one in use first.
    public_keys: Vec<PublicKey>,
    checking_keys: Vec<CheckingKey>,
    issuer: String,
    audience: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    exp: i64,
    iat: i64,
    nbf: i64,
    jti: Uuid,
    /// The login session, under the name that `OpenID` Connect Front-Channel Logout 1.0 gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<Uuid>,
    /// The key, in a token without a login session.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

impl JwtSigner {
    pub fn new(settings: JwtSettings) -> Self {
        let JwtSettings { key, previous_keys, issuer, audience } = settings;
        let keys = || [&key].into_iter().chain(&previous_keys);
        let public_keys: Vec<_> = keys().filter_map(SigningKey::public).cloned().collect();
        let checking_keys = keys().filter_map(SigningKey::checking).collect();
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: key.public().map(|public| public.id.clone()),
            ..Header::new(key.algorithm())
        };
        Self { key, header, public_keys, checking_keys, issuer, audience }
    }

    /// A JWS in its compact form (RFC 7515, 7.1).
    fn encode(&self, claims: &Claims) -> Result<String, PortError> {
        let part = |part: Result<Vec<u8>, serde_json::Error>| {
            let part = part.map_err(|error| PortError::Unavailable(error.into()))?;
            Ok::<_, PortError>(BASE64.encode(part))
        };
        let header = part(serde_json::to_vec(&self.header))?;
        let message = format!("{header}.{}", part(serde_json::to_vec(claims))?);
        let signature = self.key.sign(message.as_bytes());
        let signature = signature.map_err(|error| PortError::Unavailable(error.into()))?;
        Ok(format!("{message}.{}", BASE64.encode(signature)))
    }
}

impl TokenSigner for JwtSigner {
    fn sign(&self, claims: &AccessClaims) -> Result<SecretString, PortError> {
        let issued_at = claims.issued_at.timestamp();
        let (sid, client_id, scope) = match claims.holder {
            Holder::Session(session) => (Some(session.as_uuid()), None, None),
            Holder::Key { id, scopes } => (None, Some(id.as_uuid()), Some(scopes.to_string())),
        };
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: claims.user.as_uuid(),
            exp: claims.expires_at.timestamp(),
            iat: issued_at,
            nbf: issued_at,
            jti: claims.token,
            sid,
            client_id,
            scope,
        };
        self.encode(&claims).map(SecretString::from)
    }

    fn verify(&self, token: &str, now: DateTime<Utc>) -> Option<AccessClaims> {
        let header = plain_header(token)?;
        // A key without a name checks tokens that name none; no other is tried.
        let key = self.checking_keys.iter().find(|key| key.id == header.kid)?;
        let claims: Claims = key.open(token)?;
        let now = now.timestamp();
        let is_good = media_type(&header).as_deref() == Some(TYPE)
            && claims.iss == self.issuer
            && claims.aud == self.audience
            && now < claims.exp.saturating_add(LEEWAY)
            && now >= claims.nbf.max(claims.iat).saturating_sub(LEEWAY);
        if !is_good {
            return None;
        }
        Some(AccessClaims {
            user: UserId::from_uuid(claims.sub),
            holder: claims.holder()?,
            token: claims.jti,
            issued_at: DateTime::from_timestamp_secs(claims.iat)?,
            expires_at: DateTime::from_timestamp_secs(claims.exp)?,
        })
    }

    fn public_keys(&self) -> Vec<PublicKey> {
        self.public_keys.clone()
    }

    fn hash_refresh_token(&self, token: &str) -> RefreshTokenHash {
        RefreshTokenHash(Sha256::digest(token).into())
    }

    fn hash_name(&self, name: &str) -> NameHash {
        NameHash(Sha256::digest(name).into())
    }

    fn hash_secret(&self, secret: &str) -> SecretHash {
        SecretHash(Sha256::digest(secret).into())
    }
}

impl Claims {
    /// A login session or a key, never both.
    fn holder(&self) -> Option<Holder> {
        match (self.sid, self.client_id, &self.scope) {
            (Some(session), None, None) => {
                Some(Holder::Session(LoginSessionId::from_uuid(session)))
            }
            (None, Some(id), Some(scope)) => {
                Some(Holder::Key { id: ApiKeyId::from_uuid(id), scopes: scope.parse().ok()? })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
