//! Staying signed in.

use repartee_domain::{
    RefreshTokenId,
    accounts::RefreshTokenState,
    audit::{Action, AuditActor, AuditOutcome},
};
use secrecy::{ExposeSecret, SecretString};

use super::{AccountService, TokenPair};
use crate::{AppError, Origin, ports::PortError};

impl AccountService {
    /// Spends a refresh token for a new pair. Of any number of concurrent calls with the same
    /// token one succeeds. A token that was spent before ends the whole login session, for
    /// somebody holds a copy (RFC 9700, 4.14.2), unless two tabs just raced.
    pub async fn refresh(
        &self,
        token: SecretString,
        origin: &Origin,
    ) -> Result<TokenPair, AppError> {
        let hash = self.ports.signer.hash_refresh_token(token.expose_secret());
        let Some(stored) = self.ports.sessions.find_token(hash).await? else {
            return Err(AppError::InvalidRefreshToken);
        };
        let now = self.ports.clock.now();
        let session = stored.session;
        match RefreshTokenState::of(
            session.expires_at,
            stored.is_revoked,
            stored.rotated_at,
            stored.is_successor_used,
            now,
        ) {
            RefreshTokenState::Current => {}
            RefreshTokenState::Expired | RefreshTokenState::Raced => {
                return Err(AppError::InvalidRefreshToken);
            }
            RefreshTokenState::Reused => {
                tracing::warn!(user = %session.user, session = %session.id, "a spent refresh token was used again: its login session ends");
                let entry = origin.entry(AuditActor::User(session.user), Action::TokenReused, now);
                let entry = entry.on("login_session", session.id).outcome(AuditOutcome::Denied);
                self.ports.sessions.end(session.id, now, entry).await?;
                return Err(AppError::InvalidRefreshToken);
            }
        }
        let user = self.ports.users.find(session.user).await?;
        if !user.is_some_and(|user| user.is_active) {
            return Err(AppError::InvalidRefreshToken);
        }
        let refresh = self.ports.ids.secret();
        let next = session.rotate(
            RefreshTokenId::from_uuid(self.ports.ids.id()),
            self.ports.signer.hash_refresh_token(refresh.expose_secret()),
            self.rules.session,
            now,
        );
        let tokens = self.token_pair(&next, refresh, self.rules.access, now)?;
        let entry = origin.entry(AuditActor::User(session.user), Action::TokenMade, now);
        let entry = entry.on("login_session", session.id);
        match self.ports.sessions.rotate(session.token, next, entry).await {
            Ok(()) => Ok(tokens),
            Err(PortError::Stale) => Err(AppError::InvalidRefreshToken),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;
    use crate::{
        accounts::fixture::{Fixture, NOW, SESSION, ada, session},
        ports::StoredRefreshToken,
    };

    fn token() -> SecretString {
        "0".repeat(64).into()
    }

    fn holding(rotated_at: Option<DateTime<Utc>>, is_successor_used: bool) -> Fixture {
        let mut fixture = Fixture::new();
        fixture.sessions.expect_find_token().returning(move |_| {
            let session = session();
            Ok(Some(StoredRefreshToken {
                session,
                is_revoked: false,
                rotated_at,
                is_successor_used,
            }))
        });
        fixture.users.expect_find().returning(|_| Ok(Some(ada())));
        fixture
    }

    #[tokio::test]
    async fn a_good_token_is_spent_for_a_new_pair() {
        let mut fixture = holding(None, false);
        fixture
            .sessions
            .expect_rotate()
            .withf(|spent, next, _| *spent == session().token && next.id == SESSION)
            .once()
            .returning(|_, _, _| Ok(()));

        fixture.service().refresh(token(), &Origin::default()).await.unwrap();
    }

    #[tokio::test]
    async fn the_loser_of_a_race_gets_nothing_and_nothing_ends() {
        let mut fixture = holding(None, false);
        fixture.sessions.expect_rotate().returning(|_, _, _| Err(PortError::Stale));

        let error = fixture.service().refresh(token(), &Origin::default()).await.unwrap_err();

        assert_eq!(error.classify().1, "invalid_refresh_token");
    }

    #[tokio::test]
    async fn a_token_spent_a_moment_ago_is_a_race() {
        let fixture = holding(Some(NOW - TimeDelta::seconds(1)), false);

        fixture.service().refresh(token(), &Origin::default()).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_token_spent_earlier_ends_the_session() {
        for (rotated_at, used) in
            [(NOW - TimeDelta::minutes(1), false), (NOW - TimeDelta::seconds(1), true)]
        {
            let mut fixture = holding(Some(rotated_at), used);
            fixture
                .sessions
                .expect_end()
                .withf(|id, _, _| *id == SESSION)
                .once()
                .returning(|_, _, _| Ok(()));

            fixture.service().refresh(token(), &Origin::default()).await.unwrap_err();
        }
    }

    #[tokio::test]
    async fn a_deactivated_user_is_not_refreshed() {
        let mut fixture = holding(None, false);
        fixture.users.checkpoint();
        fixture
            .users
            .expect_find()
            .returning(|_| Ok(Some(repartee_domain::accounts::User { is_active: false, ..ada() })));

        fixture.service().refresh(token(), &Origin::default()).await.unwrap_err();
    }
}
