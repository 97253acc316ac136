//! Tokens for a grant (RFC 6749, 4.4 and 6).

use chrono::TimeDelta;
use repartee_domain::{
    accounts::Scopes,
    audit::{Action, AuditActor},
};
use secrecy::SecretString;

use super::{ClientCredentials, OauthError, OauthService, required};
use crate::{
    AppError, Origin,
    ports::{AccessClaims, Holder},
};

/// The parameters of a request, as they came.
#[derive(Debug, Default)]
pub struct TokenRequest {
    pub grant_type: Option<String>,
    pub refresh_token: Option<SecretString>,
    pub scope: Option<String>,
    pub client: Option<ClientCredentials>,
}

#[derive(Debug)]
pub struct IssuedTokens {
    pub access: SecretString,
    pub refresh: Option<SecretString>,
    pub expires_in: TimeDelta,
    /// `None` for a login session's, which opens everything.
    pub scopes: Option<Scopes>,
}

impl OauthService {
    pub async fn issue(
        &self,
        request: TokenRequest,
        origin: &Origin,
    ) -> Result<IssuedTokens, OauthError> {
        match request.grant_type.as_deref() {
            None => Err(OauthError::InvalidRequest("grant_type must be given")),
            Some("refresh_token") => self.refresh(request, origin).await,
            Some("client_credentials") => self.for_client(request, origin).await,
            Some(_) => Err(OauthError::UnsupportedGrantType),
        }
    }

    /// A login session's next pair. Its owner is no client of anybody's and needs no secret; one
    /// that is sent has to be right all the same.
    async fn refresh(
        &self,
        request: TokenRequest,
        origin: &Origin,
    ) -> Result<IssuedTokens, OauthError> {
        if let Some(client) = &request.client {
            self.client(client, origin, self.ports.clock.now()).await?;
        }
        if request.scope.is_some_and(|scope| !scope.trim().is_empty()) {
            return Err(OauthError::InvalidScope);
        }
        let token = required(request.refresh_token, "refresh_token must be given")?;
        let pair =
            self.ports.accounts.refresh(token, origin).await.map_err(|error| match error {
                AppError::InvalidRefreshToken => OauthError::InvalidGrant,
                error => error.into(),
            })?;
        Ok(IssuedTokens {
            access: pair.access,
            refresh: Some(pair.refresh),
            expires_in: pair.expires_in,
            scopes: None,
        })
    }

    /// An access token for what a key opens, or for the part of it that is asked for.
    async fn for_client(
        &self,
        request: TokenRequest,
        origin: &Origin,
    ) -> Result<IssuedTokens, OauthError> {
        let now = self.ports.clock.now();
        let client = request.client.ok_or(OauthError::InvalidClient)?;
        let key = self.client(&client, origin, now).await?.key;
        let scopes = asked(request.scope.as_deref(), key.scopes)?;
        let expires_at = now + self.rules.access;
        let expires_at = key.expires_at.map_or(expires_at, |end| end.min(expires_at));
        let token = self.ports.ids.id();
        let claims = AccessClaims {
            user: key.owner,
            holder: Holder::Key { id: key.id, scopes },
            token,
            issued_at: now,
            expires_at,
        };
        let access = self.ports.signer.sign(&claims).map_err(AppError::from)?;
        let entry = origin.entry(AuditActor::User(key.owner), Action::TokenMade, now);
        let entry = entry.on("api_key", key.id).with("token", token.to_string());
        self.ports.keys.record(entry).await.map_err(AppError::from)?;
        let expires_in = expires_at - now;
        Ok(IssuedTokens { access, refresh: None, expires_in, scopes: Some(scopes) })
    }
}

fn asked(scope: Option<&str>, all: Scopes) -> Result<Scopes, OauthError> {
    let scopes: Scopes = scope.unwrap_or_default().parse().map_err(|_| OauthError::InvalidScope)?;
    match scopes {
        scopes if scopes.is_empty() => Ok(all),
        scopes if scopes.and(all) == scopes => Ok(scopes),
        _ => Err(OauthError::InvalidScope),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use repartee_domain::accounts::ApiKey;

    use super::*;
    use crate::{
        accounts::fixture::{NOW, good_key},
        oauth::fixture::{Fixture, client, secret},
        ports::GoodKey,
    };

    fn request(grant_type: &str) -> TokenRequest {
        TokenRequest { grant_type: Some(grant_type.into()), ..TokenRequest::default() }
    }

    async fn issue(fixture: Fixture, request: TokenRequest) -> Result<IssuedTokens, OauthError> {
        fixture.service().issue(request, &Origin::default()).await
    }

    #[tokio::test]
    async fn a_key_gets_a_token_for_all_or_some_of_what_it_opens() {
        for (scope, granted) in
            [(None, "chat read"), (Some(""), "chat read"), (Some("read"), "read")]
        {
            let mut fixture = Fixture::with_key(good_key("chat read"));
            fixture
                .keys
                .expect_record()
                .withf(|entry| entry.action == Action::TokenMade)
                .once()
                .returning(|_| Ok(()));
            let scope = scope.map(Into::into);
            let request =
                TokenRequest { scope, client: Some(client()), ..request("client_credentials") };

            let issued = issue(fixture, request).await.unwrap();

            assert_eq!(issued.scopes.unwrap().to_string(), granted);
            assert_eq!(issued.expires_in, TimeDelta::minutes(30));
            assert!(issued.refresh.is_none());
        }
    }

    #[tokio::test]
    async fn no_token_outlives_its_key() {
        let good = good_key("chat");
        let expires_at = Some(NOW + TimeDelta::minutes(5));
        let key = Arc::new(ApiKey { expires_at, ..ApiKey::clone(&good.key) });
        let mut fixture = Fixture::with_key(GoodKey { key, ..good });
        fixture.keys.expect_record().returning(|_| Ok(()));
        let request = TokenRequest { client: Some(client()), ..request("client_credentials") };

        let issued = issue(fixture, request).await.unwrap();

        assert_eq!(issued.expires_in, TimeDelta::minutes(5));
    }

    #[tokio::test]
    async fn what_is_wrong_has_its_name() {
        let other = ClientCredentials { id: NOW.to_string(), secret: secret().into() };
        let nobody = ClientCredentials { id: uuid::Uuid::nil().to_string(), ..client() };
        let wrong = ClientCredentials { secret: "guess".into(), ..client() };
        let of = |client| TokenRequest { client, ..request("client_credentials") };
        let scoped = |scope: &str| TokenRequest { scope: Some(scope.into()), ..of(Some(client())) };
        for (request, code) in [
            (TokenRequest::default(), "invalid_request"),
            (request("password"), "unsupported_grant_type"),
            (request("authorization_code"), "unsupported_grant_type"),
            (request("refresh_token"), "invalid_request"),
            (of(None), "invalid_client"),
            (of(Some(other)), "invalid_client"),
            (of(Some(nobody)), "invalid_client"),
            (of(Some(wrong)), "invalid_client"),
            (scoped("read files"), "invalid_scope"),
            (scoped("admin"), "invalid_scope"),
        ] {
            let fixture = Fixture::with_key(good_key("chat read"));
            let refused = issue(fixture, request).await.unwrap_err();
            assert_eq!(refused.code(), Some(code));
        }
    }

    #[tokio::test]
    async fn an_unknown_refresh_token_is_an_invalid_grant() {
        let mut fixture = Fixture::without_key();
        fixture.accounts.sessions.expect_find_token().returning(|_| Ok(None));
        let refresh_token = Some("0".repeat(64).into());

        let request = TokenRequest { refresh_token, ..request("refresh_token") };
        let refused = issue(fixture, request).await.unwrap_err();

        assert_eq!(refused.code(), Some("invalid_grant"));
    }
}
