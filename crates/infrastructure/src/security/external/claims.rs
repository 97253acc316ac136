//! What another issuer's tokens say.

use chrono::{DateTime, Utc};
use repartee_application::ports::{ExternalClaims, ExternalIdentity};
use serde::Deserialize;
use serde_json::Number;

use crate::security::jwt::LEEWAY;

/// Characters (`OpenID` Connect Core 1.0, 2).
const MAX_SUBJECT: usize = 255;

/// RFC 7519, 4.1.
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    #[serde(default)]
    aud: Option<Audience>,
    sub: String,
    exp: Number,
    nbf: Option<Number>,
    iat: Option<Number>,
    email: Option<String>,
    #[serde(default)]
    email_verified: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Claims {
    /// What a token says, whoever signed it.
    pub(super) fn unchecked(token: &str) -> Option<Self> {
        jsonwebtoken::dangerous::insecure_decode_claims(token).ok()
    }

    pub(super) fn are_good(
        &self,
        issuer: &str,
        audience: Option<&str>,
        now: DateTime<Utc>,
    ) -> bool {
        let now = now.timestamp();
        let begun = [&self.nbf, &self.iat]
            .into_iter()
            .flatten()
            .all(|from| seconds(from).is_some_and(|from| now >= from.saturating_sub(LEEWAY)));
        let is_over = seconds(&self.exp).is_none_or(|end| now >= end.saturating_add(LEEWAY));
        let length = self.sub.chars().count();
        let is_somebody =
            (1..=MAX_SUBJECT).contains(&length) && !self.sub.chars().any(char::is_control);
        self.iss == issuer && self.is_for(audience) && begun && !is_over && is_somebody
    }

    fn is_for(&self, audience: Option<&str>) -> bool {
        match (&self.aud, audience) {
            (None, None) => true,
            (Some(Audience::One(one)), Some(wanted)) => one == wanted,
            (Some(Audience::Many(many)), Some(wanted)) => many.iter().any(|one| one == wanted),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    pub(super) fn into_external(self) -> Option<ExternalClaims> {
        let expires_at = DateTime::from_timestamp_secs(seconds(&self.exp)?)?;
        let is_verified = self.email_verified == serde_json::Value::Bool(true);
        Some(ExternalClaims {
            identity: ExternalIdentity { issuer: self.iss, subject: self.sub },
            verified_email: self.email.filter(|_| is_verified),
            expires_at,
        })
    }
}

/// A `NumericDate` (RFC 7519, 2) may have a fraction.
fn seconds(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| number.to_string().split('.').next()?.parse().ok())
}
