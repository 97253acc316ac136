//! Users and their signed-in devices.

mod authenticate;
mod bootstrap;
mod log_in;
mod log_out;
mod profile;
mod refresh;
mod register;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use repartee_domain::{
    LoginSessionId, RefreshTokenId, UserId,
    accounts::{LoginSession, PasswordPolicy, SessionLifetime, User},
};
use secrecy::{ExposeSecret, SecretString};

pub use self::{log_in::LogIn, register::NewAccount};
use crate::{
    AppError,
    ports::{
        AccessClaims, Clock, CommonPasswords, IdGenerator, LoginSessionRepository, PasswordHasher,
        TokenSigner, UserRepository,
    },
};

pub struct AccountService {
    ports: AccountPorts,
    rules: AccountRules,
}

pub struct AccountPorts {
    pub users: Arc<dyn UserRepository>,
    pub sessions: Arc<dyn LoginSessionRepository>,
    pub hasher: Arc<dyn PasswordHasher>,
    pub common_passwords: Arc<dyn CommonPasswords>,
    pub signer: Arc<dyn TokenSigner>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
}

#[derive(Debug, Clone, Copy)]
pub struct AccountRules {
    pub is_registration_open: bool,
    pub password: PasswordPolicy,
    /// How long an access token is good.
    pub access: TimeDelta,
    pub session: SessionLifetime,
}

/// Where a log-in comes from, as its owner will see it in the list of devices.
#[derive(Debug, Clone, Default)]
pub struct Device {
    pub user_agent: Option<String>,
    pub ip: Option<String>,
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
        device: Device,
        now: DateTime<Utc>,
    ) -> (LoginSession, SecretString) {
        let refresh = self.new_refresh_token();
        let hash = self.ports.signer.hash_refresh_token(refresh.expose_secret());
        let session = LoginSession::open(
            LoginSessionId::from_uuid(self.ports.ids.id()),
            RefreshTokenId::from_uuid(self.ports.ids.id()),
            user,
            hash,
            self.rules.session,
            now,
        );
        let session = LoginSession { user_agent: device.user_agent, ip: device.ip, ..session };
        (session, refresh)
    }

    /// 256 random bits in hexadecimal.
    fn new_refresh_token(&self) -> SecretString {
        let random = self.ports.ids.random();
        let digits = random.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect::<String>().into()
    }

    fn token_pair(
        &self,
        session: &LoginSession,
        refresh: SecretString,
        now: DateTime<Utc>,
    ) -> Result<TokenPair, AppError> {
        let access = self.ports.signer.sign(&AccessClaims {
            user: session.user,
            session: session.id,
            token: self.ports.ids.id(),
            issued_at: now,
            expires_at: now + self.rules.access,
        })?;
        Ok(TokenPair { access, refresh, expires_in: self.rules.access })
    }
}

#[cfg(test)]
mod fixture;
