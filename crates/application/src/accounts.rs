//! Users and their signed-in devices.

mod administration;
mod authenticate;
mod bootstrap;
mod devices;
mod external;
mod letters;
mod log_in;
mod log_out;
mod password;
mod profile;
mod recovery;
mod refresh;
mod register;
mod stream_access;
mod throttle;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use repartee_domain::{
    LoginSessionId, RefreshTokenId, UserId,
    accounts::{LoginSession, PasswordPolicy, SessionLifetime, User},
};
use secrecy::{ExposeSecret, SecretString};

pub use self::{
    administration::{
        AccountChanges, Claimed, ImportError, ImportedUser, NewUser, UserAdminService, UserImport,
    },
    authenticate::{Access, Authenticator, AuthenticatorPorts},
    external::ExternalUsers,
    letters::{LetterPorts, Letters},
    log_in::LogIn,
    recovery::RecoveryService,
    register::{NewAccount, Registered},
    stream_access::{NewTicket, StreamAccessPorts, StreamAccessService},
    throttle::{LogInThrottle, ThrottlePorts},
};
use crate::{
    AppError, Origin,
    ports::{
        AccessClaims, Clock, CommonPasswords, Holder, IdGenerator, LoginSessionRepository,
        PasswordHasher, TokenSigner, UserRepository,
    },
};

/// How long access tokens are good for clients that don't refresh.
pub const UNREFRESHED: TimeDelta = TimeDelta::minutes(60);

pub struct AccountService {
    ports: AccountPorts,
    rules: AccountRules,
}

pub struct AccountPorts {
    pub users: Arc<dyn UserRepository>,
    pub sessions: Arc<dyn LoginSessionRepository>,
    pub hasher: Arc<dyn PasswordHasher>,
    pub common_passwords: Arc<dyn CommonPasswords>,
    pub throttle: Arc<LogInThrottle>,
    pub letters: Letters,
    pub signer: Arc<dyn TokenSigner>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
}

#[derive(Debug, Clone, Copy)]
pub struct AccountRules {
    pub is_registration_open: bool,
    /// Whether the registration of a taken address is answered like that of a free one.
    pub hides_registration: bool,
    pub password: PasswordPolicy,
    /// How long an access token is good.
    pub access: TimeDelta,
    pub session: SessionLifetime,
}

/// What a client needs to act for somebody.
#[derive(Debug)]
pub struct TokenPair {
    pub access: SecretString,
    /// Good once: the next refresh gives another.
    pub refresh: SecretString,
    pub expires_in: TimeDelta,
}

#[derive(Debug)]
pub struct SignedIn {
    pub user: User,
    pub tokens: TokenPair,
}

impl AccountService {
    pub fn new(ports: AccountPorts, rules: AccountRules) -> Self {
        Self { ports, rules }
    }

    fn open_session(
        &self,
        user: UserId,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> (LoginSession, SecretString) {
        let refresh = self.ports.ids.secret();
        let hash = self.ports.signer.hash_refresh_token(refresh.expose_secret());
        let session = LoginSession::open(
            LoginSessionId::from_uuid(self.ports.ids.id()),
            RefreshTokenId::from_uuid(self.ports.ids.id()),
            user,
            hash,
            self.rules.session,
            now,
        );
        let session = LoginSession {
            user_agent: origin.user_agent.as_deref().map(str::to_owned),
            ip: origin.address.map(|address| address.to_string()),
            ..session
        };
        (session, refresh)
    }

    fn token_pair(
        &self,
        session: &LoginSession,
        refresh: SecretString,
        expires_in: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<TokenPair, AppError> {
        let access = self.ports.signer.sign(&AccessClaims {
            user: session.user,
            holder: Holder::Session(session.id),
            token: self.ports.ids.id(),
            issued_at: now,
            expires_at: now + expires_in,
        })?;
        Ok(TokenPair { access, refresh, expires_in })
    }
}

#[cfg(test)]
pub(crate) mod fixture;
