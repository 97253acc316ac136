//! Changing one's own password.

use repartee_domain::{
    accounts::{Email, PasswordPolicy, Username},
    audit::Action,
};
use secrecy::{ExposeSecret, SecretString};

use super::AccountService;
use crate::{
    Actor, AppError, Permission,
    ports::{Credentials, LoginName, PasswordChange, PasswordCheck},
};

impl AccountService {
    /// Changes the caller's password. Their login session goes on, every other one ends. A wrong
    /// current password counts as a failed log-in does.
    pub async fn change_password(
        &self,
        actor: &Actor,
        current: SecretString,
        new: SecretString,
    ) -> Result<(), AppError> {
        actor.may(Permission::ManageAccount)?;
        let user = self.profile(actor).await?;
        let name = user.profile.username.as_ref();
        let new = self.good_password("new_password", &new, Some(&user.email), name)?;
        let attempt = self.ports.throttle.enter(user.email.as_str()).await?;
        let known = self.ports.users.credentials(&LoginName::Email(user.email)).await?;
        let Some(Credentials { password: old, .. }) = known else {
            return Err(AppError::Unauthenticated);
        };
        let current = PasswordPolicy::normalise(current.expose_secret());
        let check = self.ports.hasher.verify(current.into(), Some(old.clone())).await?;
        if check == PasswordCheck::Differs {
            attempt.failed(Some(actor.user), &actor.origin).await?;
            return Err(AppError::WrongPassword);
        }
        attempt.succeeded().await?;
        let new = self.ports.hasher.hash(new).await?;
        let at = self.ports.clock.now();
        let entry = actor.did(Action::PasswordChanged, at).on("user", actor.user);
        let keep = actor.session();
        let change = PasswordChange { user: actor.user, old, new, keep, at };
        Ok(self.ports.users.change_password(change, entry).await?)
    }

    /// A password in the form in which it is hashed.
    ///
    /// # Errors
    /// [`AppError::Invalid`] with `field`.
    pub(super) fn good_password(
        &self,
        field: &'static str,
        password: &SecretString,
        email: Option<&Email>,
        username: Option<&Username>,
    ) -> Result<SecretString, AppError> {
        let password = PasswordPolicy::normalise(password.expose_secret());
        let is_common = |text: &str| self.ports.common_passwords.contains(text);
        match self.rules.password.check(&password, email, username, is_common) {
            Ok(()) => Ok(password.into()),
            Err(problem) => Err(AppError::invalid(problem.in_field(field))),
        }
    }
}

#[cfg(test)]
mod tests {
    use repartee_domain::accounts::Role;

    use super::*;
    use crate::{
        Credential, Origin,
        accounts::fixture::{Fixture, SESSION, USER, ada},
        ports::{PasswordHash, PortError},
    };

    const ACTOR: Actor = Actor {
        user: USER,
        role: Role::User,
        credential: Credential::Session(SESSION),
        origin: Origin { address: None, user_agent: None, request_id: None },
    };

    fn fixture(check: PasswordCheck) -> Fixture {
        let mut fixture = Fixture::new();
        fixture.users.expect_find().returning(|_| Ok(Some(ada())));
        fixture.users.expect_credentials().returning(|_| {
            Ok(Some(Credentials { user: ada(), password: PasswordHash("old".into()) }))
        });
        fixture.hasher.expect_verify().once().returning(move |_, _| Ok(check));
        fixture
    }

    #[tokio::test]
    async fn the_callers_session_goes_on() {
        let mut fixture = fixture(PasswordCheck::Matches);
        fixture
            .users
            .expect_change_password()
            .withf(|change, entry| {
                change.keep == Some(SESSION)
                    && change.old.0.expose_secret() == "old"
                    && change.new.0.expose_secret() == "hash of difference-2"
                    && entry.action == Action::PasswordChanged
            })
            .once()
            .returning(|_, _| Ok(()));

        let service = fixture.service();
        service.change_password(&ACTOR, "old".into(), "difference-2".into()).await.unwrap();
    }

    #[tokio::test]
    async fn a_wrong_password_changes_nothing_and_counts() {
        let mut fixture = fixture(PasswordCheck::Differs);
        fixture
            .failures
            .expect_count()
            .withf(|_, _, entry| entry.actor.user() == Some(USER))
            .once()
            .returning(|_, _, _| Ok(()));

        let service = fixture.service();
        let refused = service.change_password(&ACTOR, "x".into(), "difference-2".into()).await;

        assert_eq!(refused.unwrap_err().classify().1, "wrong_password");
    }

    #[tokio::test]
    async fn a_weak_password_is_refused_before_anything_is_hashed() {
        let mut fixture = Fixture::new();
        fixture.users.expect_find().returning(|_| Ok(Some(ada())));

        let service = fixture.service();
        let refused = service.change_password(&ACTOR, "x".into(), "password1".into()).await;

        let Err(AppError::Invalid(errors)) = refused else { panic!("{refused:?}") };
        assert_eq!((errors[0].field, errors[0].code), ("new_password", "too_common"));
    }

    #[tokio::test]
    async fn who_changed_it_meanwhile_wins() {
        let mut fixture = fixture(PasswordCheck::Matches);
        fixture.users.expect_change_password().returning(|_, _| Err(PortError::Stale));

        let service = fixture.service();
        let refused = service.change_password(&ACTOR, "old".into(), "difference-2".into()).await;

        assert_eq!(refused.unwrap_err().classify().1, "stale_write");
    }
}
