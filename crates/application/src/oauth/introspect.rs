//! What a token stands for (RFC 7662).

use chrono::{DateTime, Utc};
use repartee_domain::{
    ApiKeyId, UserId,
    accounts::{ApiKey, RefreshTokenState, Scopes},
};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{ClientCredentials, OauthError, OauthService, required};
use crate::{
    Actor, AppError, Origin, Permission,
    ports::{AccessClaims, Holder, KeyName},
};

/// Who wants to know.
#[derive(Debug)]
pub enum Asking {
    Client(ClientCredentials),
    User(Actor),
}

/// A token that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introspected {
    pub kind: TokenKind,
    pub user: UserId,
    pub client: Option<ApiKeyId>,
    /// `None` for a login session's, which opens everything.
    pub scopes: Option<Scopes>,
    pub issued_at: DateTime<Utc>,
    /// `None` for a key without an end.
    pub expires_at: Option<DateTime<Utc>>,
    /// `jti`.
    pub token: Option<Uuid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    Access,
    Refresh,
    Key,
}

impl OauthService {
    /// `None` for a token that is good for nothing (any more), or not of whoever asks.
    pub async fn introspect(
        &self,
        token: Option<SecretString>,
        asking: Asking,
        origin: &Origin,
    ) -> Result<Option<Introspected>, OauthError> {
        let now = self.ports.clock.now();
        let user = match asking {
            Asking::Client(client) => self.client(&client, origin, now).await?.key.owner,
            Asking::User(actor) => {
                actor.may(Permission::ReadProfile)?;
                actor.user
            }
        };
        let token = required(token, "token must be given")?;
        let found = self.look_at(token.expose_secret(), now).await?;
        Ok(found.filter(|found| found.user == user))
    }

    async fn look_at(
        &self,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Introspected>, AppError> {
        if ApiKey::could_be_secret(token) {
            let name = KeyName::Secret(self.ports.signer.hash_secret(token));
            let found = self.ports.keys.find_good(name, now).await?;
            return Ok(found.map(|good| of_key(&good.key)));
        }
        match self.ports.signer.verify(token, now) {
            Some(claims) => self.access_token(&claims, now).await,
            None => self.refresh_token(token, now).await,
        }
    }

    async fn access_token(
        &self,
        claims: &AccessClaims,
        now: DateTime<Utc>,
    ) -> Result<Option<Introspected>, AppError> {
        let held = self.ports.authenticator.holder(claims, Origin::default(), now).await;
        let actor = match held {
            Ok(actor) => actor,
            Err(AppError::Unauthenticated) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Introspected {
            kind: TokenKind::Access,
            user: claims.user,
            client: match claims.holder {
                Holder::Key { id, .. } => Some(id),
                Holder::Session(_) => None,
            },
            scopes: actor.key().map(|key| key.scopes),
            issued_at: claims.issued_at,
            expires_at: Some(claims.expires_at),
            token: Some(claims.token),
        }))
    }

    async fn refresh_token(
        &self,
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Introspected>, AppError> {
        let hash = self.ports.signer.hash_refresh_token(token);
        let Some(stored) = self.ports.sessions.find_token(hash).await? else { return Ok(None) };
        let session = stored.session;
        let state = RefreshTokenState::of(
            session.expires_at,
            stored.is_revoked,
            stored.rotated_at,
            stored.is_successor_used,
            now,
        );
        let is_good = state == RefreshTokenState::Current
            && self.ports.sessions.principal(session.id, now).await?.is_some();
        Ok(is_good.then_some(Introspected {
            kind: TokenKind::Refresh,
            user: session.user,
            client: None,
            scopes: None,
            issued_at: session.created_at,
            expires_at: Some(session.expires_at),
            token: None,
        }))
    }
}

fn of_key(key: &ApiKey) -> Introspected {
    Introspected {
        kind: TokenKind::Key,
        user: key.owner,
        client: Some(key.id),
        scopes: Some(key.scopes),
        issued_at: key.created_at,
        expires_at: key.expires_at,
        token: None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use repartee_domain::accounts::Role;

    use super::*;
    use crate::{
        Credential,
        accounts::fixture::{NOW, SESSION, USER, good_key, session},
        oauth::fixture::{Fixture, client, secret},
        ports::{GoodKey, Principal, StoredRefreshToken},
    };

    fn ada() -> Asking {
        let credential = Credential::Session(SESSION);
        Asking::User(Actor { user: USER, role: Role::User, credential, origin: Origin::default() })
    }

    async fn look(fixture: Fixture, token: &str, asking: Asking) -> Option<Introspected> {
        let service = fixture.service();
        service.introspect(Some(token.into()), asking, &Origin::default()).await.unwrap()
    }

    #[tokio::test]
    async fn good_tokens_say_what_they_stand_for() {
        let found = look(Fixture::without_key(), "access", ada()).await.unwrap();
        assert_eq!((found.kind, found.client, found.scopes), (TokenKind::Access, None, None));
        assert_eq!((found.user, found.issued_at), (USER, NOW));

        let with_key = || Fixture::with_key(good_key("chat read"));
        let found = look(with_key(), "of a key", Asking::Client(client())).await.unwrap();
        assert_eq!(found.client.unwrap().to_string(), client().id);
        assert_eq!(found.scopes.unwrap().to_string(), "read");

        let found = look(with_key(), &secret(), ada()).await.unwrap();
        assert_eq!((found.kind, found.expires_at), (TokenKind::Key, None));
        assert_eq!(found.scopes.unwrap().to_string(), "chat read");
    }

    #[tokio::test]
    async fn of_a_session_the_unspent_refresh_token_is_good() {
        for (rotated_at, is_good) in [(None, true), (Some(NOW), false)] {
            let mut fixture = Fixture::without_key();
            fixture
                .sessions
                .expect_principal()
                .returning(|_, _| Ok(Some(Principal { user: USER, role: Role::User })));
            fixture.sessions.expect_find_token().returning(move |_| {
                let session = session();
                let is_successor_used = false;
                let is_revoked = false;
                Ok(Some(StoredRefreshToken { session, is_revoked, rotated_at, is_successor_used }))
            });
            let found = look(fixture, &"0".repeat(64), ada()).await;
            assert_eq!(found.is_some_and(|found| found.kind == TokenKind::Refresh), is_good);
        }
    }

    #[tokio::test]
    async fn what_is_ended_and_what_is_somebody_elses_is_not_active() {
        assert_eq!(look(Fixture::without_key(), "of a key", ada()).await, None);
        assert_eq!(look(Fixture::without_key(), &secret(), ada()).await, None);

        let good = good_key("chat");
        let owner = UserId::from_uuid(Uuid::from_u128(999));
        let key = Arc::new(ApiKey { owner, ..ApiKey::clone(&good.key) });
        let theirs = Fixture::with_key(GoodKey { key, ..good });
        assert_eq!(look(theirs, &secret(), ada()).await, None);
    }

    #[tokio::test]
    async fn a_guest_is_told_nothing() {
        let (role, credential) = (Role::Guest, Credential::Guest);
        let guest = Actor { user: USER, role, credential, origin: Origin::default() };
        let service = Fixture::without_key().service();
        let origin = Origin::default();
        let asked = service.introspect(Some("access".into()), Asking::User(guest), &origin);
        let Err(OauthError::App(refused)) = asked.await else { panic!("it is told") };
        assert_eq!(refused.classify().1, "forbidden");
    }

    #[tokio::test]
    async fn a_client_has_to_say_who_it_is() {
        let service = Fixture::without_key().service();
        let asking = Asking::Client(client());
        let refused = service.introspect(Some("x".into()), asking, &Origin::default()).await;
        assert_eq!(refused.unwrap_err().code(), Some("invalid_client"));
    }
}
