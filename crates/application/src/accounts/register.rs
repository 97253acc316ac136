//! Becoming a user.

use repartee_domain::{
    UserId, Version,
    accounts::{Email, PasswordPolicy, Profile, ProfileChanges, Role, User},
};
use secrecy::{ExposeSecret, SecretString};

use super::{AccountService, Device, SignedIn};
use crate::{
    AppError,
    ports::{PasswordHash, PortError},
};

#[derive(Debug)]
pub struct NewAccount {
    pub email: String,
    pub password: SecretString,
    pub profile: ProfileChanges,
}

impl AccountService {
    /// Registers a user and signs them in.
    pub async fn register(
        &self,
        account: NewAccount,
        device: Device,
    ) -> Result<SignedIn, AppError> {
        if !self.rules.is_registration_open {
            return Err(AppError::RegistrationClosed);
        }
        let (user, password) = self.new_user(account, Role::User).await?;
        let now = user.created_at;
        let user = User { last_login_at: Some(now), ..user };
        let (session, refresh) = self.open_session(user.id, device, now);
        let tokens = self.token_pair(&session, refresh, now)?;
        self.ports.users.register(&user, &password, Some(session)).await.map_err(taken)?;
        Ok(SignedIn { user, tokens })
    }

    /// A user who is not stored yet, with the hash of their password; or all that is wrong.
    pub(super) async fn new_user(
        &self,
        account: NewAccount,
        role: Role,
    ) -> Result<(User, PasswordHash), AppError> {
        let mut errors = Vec::new();
        let email = Email::parse(&account.email).map_err(|error| errors.push(error)).ok();
        let profile = Profile::default()
            .with(account.profile)
            .map_err(|wrong| errors.extend(wrong))
            .unwrap_or_default();
        let password = PasswordPolicy::normalise(account.password.expose_secret());
        let is_common = |text: &str| self.ports.common_passwords.contains(text);
        let rules = self.rules.password;
        let checked = rules.check(&password, email.as_ref(), profile.username.as_ref(), is_common);
        errors.extend(checked.err().map(|problem| problem.in_field("password")));
        let (Some(email), true) = (email, errors.is_empty()) else {
            return Err(AppError::Invalid(errors));
        };
        let hash = self.ports.hasher.hash(password.into()).await?;
        let now = self.ports.clock.now();
        let user = User {
            id: UserId::from_uuid(self.ports.ids.id()),
            code: self.ports.ids.code(),
            email,
            role,
            is_active: true,
            profile,
            email_verified_at: None,
            last_login_at: None,
            created_at: now,
            updated_at: now,
            version: Version::FIRST,
        };
        Ok((user, hash))
    }
}

/// A value that only one user can have is the caller's to change.
pub(super) fn taken(error: PortError) -> AppError {
    match error {
        PortError::Taken { field } => AppError::Taken { field },
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorKind,
        accounts::fixture::{Fixture, NOW},
    };

    fn ada() -> NewAccount {
        NewAccount {
            email: "Ada@Example.com".into(),
            password: "analytical1".into(),
            profile: ProfileChanges {
                username: Some(Some("Ada".into())),
                ..ProfileChanges::default()
            },
        }
    }

    #[tokio::test]
    async fn a_new_user_is_stored_with_their_session_and_signed_in() {
        let mut fixture = Fixture::new();
        fixture
            .users
            .expect_register()
            .withf(|user, _, session| {
                user.email.as_str() == "ada@example.com"
                    && user.role == Role::User
                    && session.as_ref().is_some_and(|session| session.user == user.id)
            })
            .once()
            .returning(|_, _, _| Ok(()));

        let signed_in = fixture.service().register(ada(), Device::default()).await.unwrap();

        assert_eq!(signed_in.user.last_login_at, Some(NOW));
        assert_eq!(signed_in.tokens.refresh.expose_secret().len(), 64);
    }

    // The mocks below expect no hashing and no write: any such call fails the test.

    #[tokio::test]
    async fn everything_wrong_is_told_at_once() {
        let account = NewAccount {
            email: "nowhere".into(),
            profile: ProfileChanges {
                username: Some(Some("a@b".into())),
                ..ProfileChanges::default()
            },
            ..ada()
        };

        let error =
            Fixture::new().service().register(account, Device::default()).await.unwrap_err();

        let AppError::Invalid(errors) = error else { panic!("{error}") };
        assert_eq!(errors.iter().map(|e| e.field).collect::<Vec<_>>(), ["email", "username"]);
    }

    #[tokio::test]
    async fn a_common_password_is_refused() {
        let account = NewAccount { password: "password1".into(), ..ada() };

        let error =
            Fixture::new().service().register(account, Device::default()).await.unwrap_err();

        let AppError::Invalid(errors) = error else { panic!("{error}") };
        assert_eq!((errors[0].field, errors[0].code), ("password", "too_common"));
    }

    #[tokio::test]
    async fn a_closed_door_is_said_before_anything_else() {
        let mut fixture = Fixture::new();
        fixture.rules.is_registration_open = false;

        let error = fixture.service().register(ada(), Device::default()).await.unwrap_err();

        assert_eq!(error.classify(), (ErrorKind::Forbidden, "registration_closed"));
    }

    #[tokio::test]
    async fn a_taken_address_is_a_conflict() {
        let mut fixture = Fixture::new();
        fixture
            .users
            .expect_register()
            .returning(|_, _, _| Err(PortError::Taken { field: "email" }));

        let error = fixture.service().register(ada(), Device::default()).await.unwrap_err();

        assert_eq!(error.classify(), (ErrorKind::Conflict, "email_taken"));
    }
}
