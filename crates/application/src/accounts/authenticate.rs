//! Telling who sent a request.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use repartee_domain::{
    LoginSessionId, UserId,
    accounts::ApiKey,
    audit::{Action, AuditActor},
};

use super::ExternalUsers;
use crate::{
    Actor, AppError, Credential, Origin,
    ports::{
        AccessClaims, ApiKeyRepository, Clock, GoodKey, Holder, KeyName, LoginSessionRepository,
        TokenSigner,
    },
};

/// Longer than any stream lasts: what a key without an end opens has none either.
const FOR_EVER: TimeDelta = TimeDelta::days(3_650);

/// Knows every kind of credential that a request may come with.
pub struct Authenticator {
    ports: AuthenticatorPorts,
}

pub struct AuthenticatorPorts {
    pub sessions: Arc<dyn LoginSessionRepository>,
    pub keys: Arc<dyn ApiKeyRepository>,
    pub signer: Arc<dyn TokenSigner>,
    pub clock: Arc<dyn Clock>,
    /// Where tokens of another issuer are taken.
    pub external: Option<ExternalUsers>,
}

/// Somebody, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    pub actor: Actor,
    pub expires_at: DateTime<Utc>,
}

impl Authenticator {
    pub fn new(ports: AuthenticatorPorts) -> Self {
        Self { ports }
    }

    /// Whose bearer token this is, and until when it is good: an access token of ours, the secret
    /// of a key, or a token of another issuer. The role is today's, not the one when it was made; a
    /// token whose session or key has ended is no longer good.
    pub async fn authenticate(&self, token: &str, origin: Origin) -> Result<Access, AppError> {
        let now = self.ports.clock.now();
        if ApiKey::could_be_secret(token) {
            let good = self.key(token, &origin, now).await?.ok_or(AppError::Unauthenticated)?;
            let expires_at = good.key.expires_at.unwrap_or(now + FOR_EVER);
            return Ok(Access { actor: with_key(good, origin), expires_at });
        }
        if let Some(claims) = self.ports.signer.verify(token, now) {
            let actor = self.holder(&claims, origin, now).await?;
            return Ok(Access { actor, expires_at: claims.expires_at });
        }
        match &self.ports.external {
            Some(external) => external.authenticate(token, origin, now).await,
            None => Err(AppError::Unauthenticated),
        }
    }

    /// On whose behalf an access token of ours was made, if they are still there.
    pub(crate) async fn holder(
        &self,
        claims: &AccessClaims,
        origin: Origin,
        now: DateTime<Utc>,
    ) -> Result<Actor, AppError> {
        match claims.holder {
            Holder::Session(session) => self.signed_in(session, claims.user, origin, now).await,
            Holder::Key { id, scopes } => {
                let found = self.ports.keys.find_good(KeyName::Id(id), now).await?;
                let good = found.filter(|good| good.key.owner == claims.user);
                let good = good.ok_or(AppError::Unauthenticated)?;
                let scopes = good.key.scopes.and(scopes);
                let key = Arc::new(ApiKey { scopes, ..ApiKey::clone(&good.key) });
                Ok(with_key(GoodKey { key, ..good }, origin))
            }
        }
    }

    /// The key with this secret, if it is good. Its use is noted.
    pub(crate) async fn key(
        &self,
        secret: &str,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Option<GoodKey>, AppError> {
        if !ApiKey::could_be_secret(secret) {
            return Ok(None);
        }
        let name = KeyName::Secret(self.ports.signer.hash_secret(secret));
        let Some(good) = self.ports.keys.find_good(name, now).await? else { return Ok(None) };
        if good.key.is_use_due(now) {
            let (id, owner) = (good.key.id, AuditActor::User(good.key.owner));
            let entry = origin.entry(owner, Action::KeyFirstUsed, now).on("api_key", id);
            self.ports.keys.note_use(id, now, entry);
        }
        Ok(Some(good))
    }

    /// Whoever is signed in with this login session.
    pub(super) async fn signed_in(
        &self,
        session: LoginSessionId,
        user: UserId,
        origin: Origin,
        now: DateTime<Utc>,
    ) -> Result<Actor, AppError> {
        match self.ports.sessions.principal(session, now).await? {
            Some(principal) if principal.user == user => Ok(Actor {
                user,
                role: principal.role,
                credential: Credential::Session(session),
                origin,
            }),
            _ => Err(AppError::Unauthenticated),
        }
    }

    /// A user who is signed in at another issuer.
    pub(super) async fn signed_in_elsewhere(
        &self,
        user: UserId,
        expires_at: DateTime<Utc>,
        origin: Origin,
    ) -> Result<Actor, AppError> {
        match &self.ports.external {
            Some(external) => external.signed_in(user, expires_at, origin).await,
            None => Err(AppError::Unauthenticated),
        }
    }

    /// Whether what somebody came with has been ended since.
    pub(super) async fn has_ended(&self, actor: &Actor) -> Result<bool, AppError> {
        let now = self.ports.clock.now();
        let again = match &actor.credential {
            Credential::Session(id) => {
                self.signed_in(*id, actor.user, Origin::default(), now).await.map(drop)
            }
            Credential::Key(key) => {
                let found = self.ports.keys.find_good(KeyName::Id(key.id), now).await?;
                found.map(drop).ok_or(AppError::Unauthenticated)
            }
            Credential::External { expires_at } => {
                let again = self.signed_in_elsewhere(actor.user, *expires_at, Origin::default());
                again.await.map(drop)
            }
            Credential::Guest => return Ok(false),
        };
        match again {
            Ok(()) => Ok(false),
            Err(AppError::Unauthenticated) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// A key acts for its owner.
fn with_key(good: GoodKey, origin: Origin) -> Actor {
    Actor { user: good.key.owner, role: good.role, credential: Credential::Key(good.key), origin }
}

#[cfg(test)]
mod tests;
