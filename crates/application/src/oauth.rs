//! What OAuth clients ask for (RFC 6749, 7009, 7662): tokens, ending them, and what they stand for.

mod client;
mod introspect;
mod issue;
mod revoke;

#[cfg(test)]
mod fixture;

use std::sync::Arc;

use chrono::TimeDelta;
use secrecy::SecretString;
use thiserror::Error;

pub use self::{
    client::ClientCredentials,
    introspect::{Asking, Introspected, TokenKind},
    issue::{IssuedTokens, TokenRequest},
};
use crate::{
    AppError,
    accounts::{AccountService, Authenticator},
    ports::{ApiKeyRepository, Clock, IdGenerator, LoginSessionRepository, PublicKey, TokenSigner},
};

pub struct OauthService {
    ports: OauthPorts,
    rules: OauthRules,
}

#[derive(Debug, Clone)]
pub struct OauthRules {
    /// How long an access token is good.
    pub access: TimeDelta,
    /// `iss`.
    pub issuer: String,
}

pub struct OauthPorts {
    pub accounts: Arc<AccountService>,
    pub authenticator: Arc<Authenticator>,
    pub sessions: Arc<dyn LoginSessionRepository>,
    pub keys: Arc<dyn ApiKeyRepository>,
    pub signer: Arc<dyn TokenSigner>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
}

/// Why a client gets nothing; [`OauthError::code`] is what it is told (RFC 6749, 5.2).
#[derive(Debug, Error)]
pub enum OauthError {
    #[error("{0}")]
    InvalidRequest(&'static str),
    #[error(
        "the client is unknown, or its secret is wrong: they are the id and the secret of a key"
    )]
    InvalidClient,
    #[error("the refresh token is unknown, spent or expired: log in again")]
    InvalidGrant,
    #[error("the grant types are refresh_token and client_credentials")]
    UnsupportedGrantType,
    #[error("the scope is unknown, or more than the key has")]
    InvalidScope,
    #[error("a key, or a token that a key got, ends when the key is revoked at /api/v1/api-keys")]
    UnsupportedTokenType,
    #[error(transparent)]
    App(#[from] AppError),
}

impl OauthError {
    /// `None` where OAuth has no word for it.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::InvalidRequest(_) => Some("invalid_request"),
            Self::InvalidClient => Some("invalid_client"),
            Self::InvalidGrant => Some("invalid_grant"),
            Self::UnsupportedGrantType => Some("unsupported_grant_type"),
            Self::InvalidScope => Some("invalid_scope"),
            // RFC 7009, 2.2.1
            Self::UnsupportedTokenType => Some("unsupported_token_type"),
            Self::App(_) => None,
        }
    }
}

impl OauthService {
    pub fn new(ports: OauthPorts, rules: OauthRules) -> Self {
        Self { ports, rules }
    }

    /// The `iss` of our tokens.
    pub fn issuer(&self) -> &str {
        &self.rules.issuer
    }

    /// What others check our tokens with; nothing where they are signed with a secret.
    pub fn public_keys(&self) -> Vec<PublicKey> {
        self.ports.signer.public_keys()
    }
}

/// A parameter that has to be there.
fn required(
    parameter: Option<SecretString>,
    reason: &'static str,
) -> Result<SecretString, OauthError> {
    parameter.ok_or(OauthError::InvalidRequest(reason))
}
