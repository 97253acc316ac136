//! Another issuer, whose tokens are taken.

use repartee_infrastructure::security::{ExternalIssuerSettings, ExternalKeys};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::SettingsError;
use super::auth::SECRET_BYTES;
use super::reader::Reader;

const SECRET: &str = "auth.external.secret";
const JWKS_URL: &str = "auth.external.jwks_url";
const ISSUER: &str = "auth.external.issuer";

/// Somebody else's tokens.
#[derive(Debug, Clone)]
pub struct ExternalIssuer {
    pub secret: Option<SecretString>,
    pub jwks_url: Option<Url>,
    pub issuer: Option<String>,
    pub audience: Option<String>,
}

impl ExternalIssuer {
    /// `own` is the issuer of this server's tokens.
    pub(super) fn read(reader: Reader<'_>, own: &str) -> Result<Self, SettingsError> {
        let this = Self {
            secret: reader.secret(SECRET),
            jwks_url: reader.url(JWKS_URL, &["https", "http"])?,
            issuer: reader.given(ISSUER).map(str::to_owned),
            audience: reader.given("auth.external.audience").map(str::to_owned),
        };
        if this.secret.is_some() && this.jwks_url.is_some() {
            return Err(reader.impossible(JWKS_URL, "must not be given with auth.external.secret"));
        }
        if this.secret.as_ref().is_some_and(|s| s.expose_secret().len() < SECRET_BYTES) {
            return Err(reader.impossible(SECRET, "must have at least 32 bytes"));
        }
        let has_key = this.secret.is_some() || this.jwks_url.is_some();
        match this.issuer.as_deref() {
            None if has_key => Err(reader.impossible(
                ISSUER,
                "must be given with auth.external.secret or auth.external.jwks_url",
            )),
            Some(issuer) if issuer == own => {
                Err(reader.impossible(ISSUER, "must not be auth.issuer"))
            }
            _ => Ok(this),
        }
    }

    /// `None` where no key is given to check tokens with.
    pub fn settings(&self) -> Option<ExternalIssuerSettings> {
        let keys = match (&self.secret, &self.jwks_url) {
            (Some(secret), _) => ExternalKeys::Secret(secret.clone()),
            (None, Some(url)) => ExternalKeys::Jwks(url.clone()),
            (None, None) => return None,
        };
        let issuer = self.issuer.clone()?;
        Some(ExternalIssuerSettings { keys, issuer, audience: self.audience.clone() })
    }

    /// Why nobody's tokens are taken although somebody is named.
    pub(super) fn warning(&self) -> Option<String> {
        let is_idle = self.issuer.is_some() && self.settings().is_none();
        is_idle.then(|| {
            format!("{ISSUER} is set, but its tokens are refused without {SECRET} or {JWKS_URL}")
        })
    }
}
