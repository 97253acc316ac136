//! Telling who sent a request.

use super::AccountService;
use crate::{Actor, AppError};

impl AccountService {
    /// Whose access token this is. The role is today's, not the one at log-in; a token whose
    /// session has ended is no longer good.
    pub async fn authenticate(&self, access_token: &str) -> Result<Actor, AppError> {
        let now = self.ports.clock.now();
        let Some(claims) = self.ports.signer.verify(access_token, now) else {
            return Err(AppError::Unauthenticated);
        };
        match self.ports.sessions.principal(claims.session, now).await? {
            Some(principal) if principal.user == claims.user => {
                Ok(Actor { user: principal.user, role: principal.role, session: claims.session })
            }
            _ => Err(AppError::Unauthenticated),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use repartee_domain::{UserId, accounts::Role};
    use uuid::Uuid;

    use super::*;
    use crate::{
        accounts::fixture::{Fixture, NOW, SESSION, USER},
        ports::{AccessClaims, Principal},
    };

    fn fixture(principal: Option<Principal>) -> Fixture {
        let mut fixture = Fixture::new();
        fixture.signer.expect_verify().returning(|token, _| {
            (token == "good").then_some(AccessClaims {
                user: USER,
                session: SESSION,
                token: Uuid::from_u128(1),
                issued_at: NOW,
                expires_at: NOW + TimeDelta::minutes(30),
            })
        });
        fixture.sessions.expect_principal().returning(move |_, _| Ok(principal));
        fixture
    }

    #[tokio::test]
    async fn a_good_token_tells_who_and_with_which_role_today() {
        let fixture = fixture(Some(Principal { user: USER, role: Role::Manager }));

        let actor = fixture.service().authenticate("good").await.unwrap();

        assert_eq!(actor, Actor { user: USER, role: Role::Manager, session: SESSION });
    }

    #[tokio::test]
    async fn a_bad_token_an_ended_session_and_another_user_are_refused() {
        let other = UserId::from_uuid(Uuid::from_u128(999));
        for (token, principal) in [
            ("bad", Some(Principal { user: USER, role: Role::User })),
            ("good", None),
            ("good", Some(Principal { user: other, role: Role::User })),
        ] {
            let error = fixture(principal).service().authenticate(token).await.unwrap_err();
            assert_eq!(error.classify().1, "unauthenticated");
        }
    }
}
