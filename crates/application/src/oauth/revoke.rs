//! Ending tokens (RFC 7009).

use repartee_domain::{
    LoginSessionId, UserId,
    accounts::ApiKey,
    audit::{Action, AuditActor},
};
use secrecy::{ExposeSecret, SecretString};

use super::{ClientCredentials, OauthError, OauthService, required};
use crate::{
    AppError, Origin,
    ports::{Holder, KeyName},
};

impl OauthService {
    /// Ends the login session that a token is of, with all its tokens. Whoever holds a token may
    /// end it; a client that says who it is has to be right. What is no token needs no ending.
    ///
    /// # Errors
    /// [`OauthError::UnsupportedTokenType`] for a key, or a token that a key got: they end together,
    /// and a key is revoked by its owner alone.
    pub async fn revoke(
        &self,
        token: Option<SecretString>,
        client: Option<&ClientCredentials>,
        origin: &Origin,
    ) -> Result<(), OauthError> {
        let now = self.ports.clock.now();
        if let Some(client) = client {
            self.client(client, origin, now).await?;
        }
        let token = required(token, "token must be given")?;
        let token = token.expose_secret();
        if let Some(claims) = self.ports.signer.verify(token, now) {
            return match claims.holder {
                Holder::Session(session) => self.end(session, claims.user, origin).await,
                Holder::Key { .. } => Err(OauthError::UnsupportedTokenType),
            };
        }
        if ApiKey::could_be_secret(token) {
            let name = KeyName::Secret(self.ports.signer.hash_secret(token));
            let found = self.ports.keys.find_good(name, now).await.map_err(AppError::from)?;
            return if found.is_some() { Err(OauthError::UnsupportedTokenType) } else { Ok(()) };
        }
        let hash = self.ports.signer.hash_refresh_token(token);
        let found = self.ports.sessions.find_token(hash).await.map_err(AppError::from)?;
        match found {
            Some(stored) => self.end(stored.session.id, stored.session.user, origin).await,
            None => Ok(()),
        }
    }

    async fn end(
        &self,
        session: LoginSessionId,
        user: UserId,
        origin: &Origin,
    ) -> Result<(), OauthError> {
        let now = self.ports.clock.now();
        let entry = origin.entry(AuditActor::User(user), Action::TokenRevoked, now);
        let entry = entry.on("login_session", session);
        Ok(self.ports.sessions.end(session, now, entry).await.map_err(AppError::from)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        accounts::fixture::{SESSION, good_key, session},
        oauth::fixture::{Fixture, client, secret},
        ports::StoredRefreshToken,
    };

    async fn revoke(fixture: Fixture, token: &str) -> Result<(), OauthError> {
        fixture.service().revoke(Some(token.into()), None, &Origin::default()).await
    }

    fn ending(mut fixture: Fixture) -> Fixture {
        fixture
            .sessions
            .expect_end()
            .withf(|id, _, entry| *id == SESSION && entry.action == Action::TokenRevoked)
            .once()
            .returning(|_, _, _| Ok(()));
        fixture
    }

    #[tokio::test]
    async fn either_token_of_a_session_ends_it() {
        revoke(ending(Fixture::without_key()), "access").await.unwrap();

        let mut fixture = ending(Fixture::without_key());
        fixture.sessions.expect_find_token().returning(|_| {
            let token = StoredRefreshToken {
                session: session(),
                is_revoked: false,
                rotated_at: None,
                is_successor_used: false,
            };
            Ok(Some(token))
        });
        revoke(fixture, &"0".repeat(64)).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_token_is_fine() {
        let mut fixture = Fixture::without_key();
        fixture.sessions.expect_find_token().returning(|_| Ok(None));
        revoke(fixture, "nonsense that is thirty-two bytes long").await.unwrap();
        revoke(Fixture::without_key(), &secret()).await.unwrap();
    }

    #[tokio::test]
    async fn a_key_is_revoked_elsewhere() {
        for token in ["of a key", &secret()] {
            let refused = revoke(Fixture::with_key(good_key("chat")), token).await.unwrap_err();
            assert_eq!(refused.code(), Some("unsupported_token_type"));
        }
    }

    #[tokio::test]
    async fn a_client_that_says_who_it_is_has_to_be_right() {
        let token = Some("access".into());
        let service = Fixture::without_key().service();
        let refused = service.revoke(token, Some(&client()), &Origin::default()).await.unwrap_err();
        assert_eq!(refused.code(), Some("invalid_client"));
    }
}
