//! Access tokens: JSON Web Tokens in the profile of RFC 9068, signed with HMAC-SHA256.

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use repartee_application::ports::{AccessClaims, PortError, TokenSigner};
use repartee_domain::{LoginSessionId, UserId, accounts::RefreshTokenHash};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use uuid::Uuid;

/// RFC 7518, 3.2: a key at least as long as the hash. Bytes.
const MIN_SECRET: usize = 32;
/// RFC 9068, 2.1.
const TYPE: &str = "at+jwt";
/// How far two clocks may be apart. Seconds.
const LEEWAY: i64 = 30;
/// Ours have about 400 bytes; nothing longer is worth parsing.
const MAX_TOKEN: usize = 4096;

#[derive(Debug, Clone)]
pub struct JwtSettings {
    /// At least 32 bytes.
    pub secret: SecretString,
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the secret for access tokens must have at least {MIN_SECRET} bytes")]
pub struct WeakSecret;

/// Signs and checks access tokens.
#[derive(Clone)]
pub struct JwtSigner {
    signing_key: EncodingKey,
    checking_key: DecodingKey,
    header: Header,
    validation: Validation,
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
    sid: Uuid,
}

impl JwtSigner {
    /// # Errors
    /// When the secret is shorter than 32 bytes.
    pub fn new(settings: JwtSettings) -> Result<Self, WeakSecret> {
        let secret = settings.secret.expose_secret().as_bytes();
        if secret.len() < MIN_SECRET {
            return Err(WeakSecret);
        }
        Ok(Self {
            signing_key: EncodingKey::from_secret(secret),
            checking_key: DecodingKey::from_secret(secret),
            header: Header { typ: Some(TYPE.to_owned()), ..Header::new(Algorithm::HS256) },
            validation: signature_only(),
            issuer: settings.issuer,
            audience: settings.audience,
        })
    }
}

/// The library looks at algorithm and signature; it would read the machine's clock for the rest.
fn signature_only() -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

impl TokenSigner for JwtSigner {
    fn sign(&self, claims: &AccessClaims) -> Result<SecretString, PortError> {
        let issued_at = claims.issued_at.timestamp();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: claims.user.as_uuid(),
            exp: claims.expires_at.timestamp(),
            iat: issued_at,
            nbf: issued_at,
            jti: claims.token,
            sid: claims.session.as_uuid(),
        };
        jsonwebtoken::encode(&self.header, &claims, &self.signing_key)
            .map(SecretString::from)
            .map_err(|error| PortError::Unavailable(error.into()))
    }

    fn verify(&self, token: &str, now: DateTime<Utc>) -> Option<AccessClaims> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let token =
            jsonwebtoken::decode::<Claims>(token, &self.checking_key, &self.validation).ok()?;
        let claims = token.claims;
        let now = now.timestamp();
        let is_good = is_plain_access_token(&token.header)
            && claims.iss == self.issuer
            && claims.aud == self.audience
            && now < claims.exp.saturating_add(LEEWAY)
            && now >= claims.nbf.max(claims.iat).saturating_sub(LEEWAY);
        is_good.then_some(AccessClaims {
            user: UserId::from_uuid(claims.sub),
            session: LoginSessionId::from_uuid(claims.sid),
            token: claims.jti,
            issued_at: DateTime::from_timestamp_secs(claims.iat)?,
            expires_at: DateTime::from_timestamp_secs(claims.exp)?,
        })
    }

    fn hash_refresh_token(&self, token: &str) -> RefreshTokenHash {
        RefreshTokenHash(Sha256::digest(token).into())
    }
}

/// No token for something else, none that brings or names a key of its own, and none that says
/// it has to be understood in some other way.
fn is_plain_access_token(header: &Header) -> bool {
    let has_type = header.typ.as_deref().is_some_and(|typ| {
        let typ = typ.to_ascii_lowercase();
        typ.strip_prefix("application/").unwrap_or(&typ) == TYPE
    });
    let brings_key = header.jku.is_some()
        || header.jwk.is_some()
        || header.x5u.is_some()
        || header.x5c.is_some()
        || header.x5t.is_some()
        || header.x5t_s256.is_some();
    let is_special = header.crit.is_some() || header.enc.is_some() || header.zip.is_some();
    has_type && !brings_key && !is_special
}

#[cfg(test)]
mod tests;
