//! Becoming a user.

use std::error::Error;

use chrono::TimeDelta;
use repartee_domain::{
    FieldError, UserId, Version,
    accounts::{Email, Profile, ProfileChanges, Role, User},
    audit::{Action, AuditActor, AuditEntry},
};
use secrecy::SecretString;

use super::{AccountService, SignedIn};
use crate::{
    AppError, Origin,
    ports::{PasswordHash, PortError},
};

#[derive(Debug)]
pub struct NewAccount {
    pub email: String,
    pub password: SecretString,
    pub profile: ProfileChanges,
}

#[derive(Debug)]
pub enum Registered {
    SignedIn(Box<SignedIn>),
    /// Whether the address was free is told in a mail alone.
    ToldByMail,
}

impl AccountService {
    /// Registers a user and signs them in, or tells by mail what became of it.
    pub async fn register(
        &self,
        account: NewAccount,
        origin: &Origin,
    ) -> Result<Registered, AppError> {
        self.register_for(account, self.rules.access, origin).await
    }

    /// As [`AccountService::register`]; the access token is good for `access`.
    pub async fn register_for(
        &self,
        account: NewAccount,
        access: TimeDelta,
        origin: &Origin,
    ) -> Result<Registered, AppError> {
        if !self.rules.is_registration_open {
            return Err(AppError::RegistrationClosed);
        }
        let NewAccount { email, password, profile } = account;
        let (user, password) = self.new_user(&email, Some(&password), profile, Role::User).await?;
        let now = user.created_at;
        let entry = origin.entry(AuditActor::User(user.id), Action::AccountMade, now);
        let entry = entry.on("user", user.id).with("role", user.role.as_str());
        if self.rules.hides_registration {
            self.register_unseen(user, origin, entry)?;
            return Ok(Registered::ToldByMail);
        }
        let user = User { last_login_at: Some(now), ..user };
        let (session, refresh) = self.open_session(user.id, origin, now);
        let tokens = self.token_pair(&session, refresh, access, now)?;
        let registered = self.ports.users.register(&user, &password, Some(session), entry).await;
        registered.map_err(taken)?;
        self.ports.letters.verify(&user);
        Ok(Registered::SignedIn(Box::new(SignedIn { user, tokens })))
    }

    /// Answers before anything depends on whether the address is free. The password is not kept: a
    /// log-in with it would tell. Nor may there be a username: asked for again, it would tell too.
    fn register_unseen(
        &self,
        user: User,
        origin: &Origin,
        entry: AuditEntry,
    ) -> Result<(), AppError> {
        if user.profile.username.is_some() {
            let detail = "can be chosen once you are signed in";
            return Err(AppError::invalid(FieldError::new("username", "too_early", detail)));
        }
        let asked =
            origin.entry(AuditActor::User(user.id), Action::PasswordResetAsked, user.created_at);
        let asked = asked.on("user", user.id);
        let (users, letters) = (self.ports.users.clone(), self.ports.letters.clone());
        self.ports.letters.in_background(async move {
            match users.register(&user, &PasswordHash::none(), None, entry).await {
                Ok(()) => letters.reset(&user, asked),
                Err(PortError::Taken { field: "email" }) => letters.taken(user.email),
                Err(error) => {
                    tracing::error!(error = &error as &dyn Error, "a registration is not stored");
                }
            }
        });
        Ok(())
    }

    /// A user who is not stored yet, with the hash of their password, where they have one; or all
    /// that is wrong.
    pub(super) async fn new_user(
        &self,
        email: &str,
        password: Option<&SecretString>,
        profile: ProfileChanges,
        role: Role,
    ) -> Result<(User, PasswordHash), AppError> {
        let mut errors = Vec::new();
        let email = Email::parse(email).map_err(|error| errors.push(error)).ok();
        let profile = Profile::default()
            .with(profile)
            .map_err(|wrong| errors.extend(wrong))
            .unwrap_or_default();
        let username = profile.username.as_ref();
        let password = match password {
            None => None,
            Some(password) => {
                match self.good_password("password", password, email.as_ref(), username) {
                    Ok(password) => Some(password),
                    Err(AppError::Invalid(wrong)) => {
                        errors.extend(wrong);
                        None
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let (Some(email), true) = (email, errors.is_empty()) else {
            return Err(AppError::Invalid(errors));
        };
        let hash = match password {
            Some(password) => self.ports.hasher.hash(password).await?,
            None => PasswordHash::none(),
        };
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
    use secrecy::ExposeSecret;

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
            .withf(|user, _, session, _| {
                user.email.as_str() == "ada@example.com"
                    && user.role == Role::User
                    && session.as_ref().is_some_and(|session| session.user == user.id)
            })
            .once()
            .returning(|_, _, _, _| Ok(()));

        let registered = fixture.service().register(ada(), &Origin::default()).await.unwrap();

        let Registered::SignedIn(signed_in) = registered else { panic!("{registered:?}") };
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
            Fixture::new().service().register(account, &Origin::default()).await.unwrap_err();

        let AppError::Invalid(errors) = error else { panic!("{error}") };
        assert_eq!(errors.iter().map(|e| e.field).collect::<Vec<_>>(), ["email", "username"]);
    }

    #[tokio::test]
    async fn a_common_password_is_refused() {
        let account = NewAccount { password: "password1".into(), ..ada() };

        let error =
            Fixture::new().service().register(account, &Origin::default()).await.unwrap_err();

        let AppError::Invalid(errors) = error else { panic!("{error}") };
        assert_eq!((errors[0].field, errors[0].code), ("password", "too_common"));
    }

    #[tokio::test]
    async fn a_closed_door_is_said_before_anything_else() {
        let mut fixture = Fixture::new();
        fixture.rules.is_registration_open = false;

        let error = fixture.service().register(ada(), &Origin::default()).await.unwrap_err();

        assert_eq!(error.classify(), (ErrorKind::Forbidden, "registration_closed"));
    }

    #[tokio::test]
    async fn a_taken_address_is_a_conflict() {
        let mut fixture = Fixture::new();
        fixture
            .users
            .expect_register()
            .returning(|_, _, _, _| Err(PortError::Taken { field: "email" }));

        let error = fixture.service().register(ada(), &Origin::default()).await.unwrap_err();

        assert_eq!(error.classify(), (ErrorKind::Conflict, "email_taken"));
    }

    #[tokio::test]
    async fn an_address_is_verified_by_a_link_that_is_mailed() {
        let mut fixture = Fixture::new();
        fixture.users.expect_register().returning(|_, _, _, _| Ok(()));
        fixture.links.expect_store().once().returning(|_, _| Ok(()));
        fixture
            .mailer
            .expect_send()
            .withf(|mail| mail.text.expose_secret().contains("https://chat.example.com/#verify="))
            .once()
            .returning(|_| Ok(()));
        let tasks = fixture.tasks.clone();

        fixture.service().register(ada(), &Origin::default()).await.unwrap();

        tasks.run().await;
    }

    /// Registers in hiding; gives the subject of the mail that tells what became of it.
    async fn told_by_mail(stored: fn() -> Result<(), PortError>) -> &'static str {
        let mut fixture = Fixture::new();
        fixture.rules.hides_registration = true;
        fixture
            .users
            .expect_register()
            .withf(|_, password, session, _| password.is_none() && session.is_none())
            .once()
            .returning(move |_, _, _, _| stored());
        fixture.links.expect_store().returning(|_, _| Ok(()));
        let (sent, mails) = std::sync::mpsc::channel();
        fixture.mailer.expect_send().returning(move |mail| {
            sent.send(mail.subject).unwrap();
            Ok(())
        });
        let tasks = fixture.tasks.clone();

        let account = NewAccount { profile: ProfileChanges::default(), ..ada() };
        let registered = fixture.service().register(account, &Origin::default()).await.unwrap();

        assert!(matches!(registered, Registered::ToldByMail));
        tasks.run().await;
        mails.try_recv().unwrap()
    }

    #[tokio::test]
    async fn in_hiding_only_the_owner_of_an_address_learns_whether_it_was_taken() {
        assert_eq!(told_by_mail(|| Ok(())).await, "Choose a new password");
        let taken = told_by_mail(|| Err(PortError::Taken { field: "email" })).await;
        assert_eq!(taken, "You have an account already");
    }

    #[tokio::test]
    async fn in_hiding_nobody_has_a_username_that_would_tell() {
        let mut fixture = Fixture::new();
        fixture.rules.hides_registration = true;

        let error = fixture.service().register(ada(), &Origin::default()).await.unwrap_err();

        let AppError::Invalid(errors) = error else { panic!("{error}") };
        assert_eq!((errors[0].field, errors[0].code), ("username", "too_early"));
    }
}
