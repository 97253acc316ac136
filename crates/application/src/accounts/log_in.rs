//! Proving who one is, with a password.

use repartee_domain::accounts::{Email, PasswordPolicy, User, Username};
use secrecy::{ExposeSecret, SecretString};

use super::{AccountService, Device, SignedIn};
use crate::{
    AppError,
    ports::{Credentials, LoginName, PasswordCheck},
};

#[derive(Debug)]
pub struct LogIn {
    /// An e-mail address or a username.
    pub name: String,
    pub password: SecretString,
}

impl AccountService {
    /// Signs somebody in. Costs one hashing and answers alike, whether the name is unknown, the
    /// password wrong or empty, or the user deactivated.
    pub async fn log_in(&self, log_in: LogIn, device: Device) -> Result<SignedIn, AppError> {
        let known = match parse_name(&log_in.name) {
            Some(name) => self.ports.users.credentials(&name).await?,
            None => None,
        };
        let password = PasswordPolicy::normalise(log_in.password.expose_secret());
        let hash = known.as_ref().map(|known| known.password.clone());
        let check = self.ports.hasher.verify(password.clone().into(), hash).await?;
        let (Some(Credentials { user, password: old }), true) =
            (known, check != PasswordCheck::Differs)
        else {
            return Err(AppError::WrongCredentials);
        };
        if !user.is_active {
            return Err(AppError::WrongCredentials);
        }
        if check == PasswordCheck::MatchesOutdated {
            let new = self.ports.hasher.hash(password.into()).await?;
            self.ports.users.rehash(user.id, &old, &new).await?;
        }
        let now = self.ports.clock.now();
        let (session, refresh) = self.open_session(user.id, device, now);
        let tokens = self.token_pair(&session, refresh, now)?;
        self.ports.sessions.open(session).await?;
        let user = User { last_login_at: Some(now), ..user };
        Ok(SignedIn { user, tokens })
    }
}

/// `None` for what no user can be called.
fn parse_name(name: &str) -> Option<LoginName> {
    if name.contains('@') {
        Email::parse(name).ok().map(LoginName::Email)
    } else {
        Username::parse(name).ok().map(LoginName::Username)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        accounts::fixture::{Fixture, USER, ada},
        ports::PasswordHash,
    };
    use mockall::predicate::eq;

    fn log_in(name: &str, password: &str) -> LogIn {
        LogIn { name: name.into(), password: password.into() }
    }

    fn fixture(user: Option<User>, check: PasswordCheck) -> Fixture {
        let mut fixture = Fixture::new();
        fixture.users.expect_credentials().returning(move |_| {
            Ok(user.clone().map(|user| Credentials { user, password: PasswordHash("old".into()) }))
        });
        fixture.hasher.expect_verify().once().returning(move |_, _| Ok(check));
        fixture
    }

    #[tokio::test]
    async fn the_right_password_opens_a_session() {
        let mut fixture = fixture(Some(ada()), PasswordCheck::Matches);
        fixture
            .sessions
            .expect_open()
            .withf(|session| session.user == USER)
            .once()
            .returning(|_| Ok(()));

        let signed_in = fixture
            .service()
            .log_in(log_in("ADA@example.com", "analytical1"), Device::default())
            .await
            .unwrap();

        assert_eq!(signed_in.user.id, USER);
    }

    // In these no session is opened, and exactly one password is verified.

    #[tokio::test]
    async fn unknown_wrong_empty_and_inactive_answer_alike() {
        let inactive = User { is_active: false, ..ada() };
        let cases = [
            (None, PasswordCheck::Differs, "nobody@example.com", "analytical1"),
            (None, PasswordCheck::Differs, "not\u{7}a@name", "analytical1"),
            (Some(ada()), PasswordCheck::Differs, "ada@example.com", "wrong"),
            (Some(ada()), PasswordCheck::Differs, "ada@example.com", ""),
            (Some(inactive), PasswordCheck::Matches, "ada@example.com", "analytical1"),
        ];
        for (user, check, name, password) in cases {
            let error = fixture(user, check)
                .service()
                .log_in(log_in(name, password), Device::default())
                .await
                .unwrap_err();
            assert_eq!(error.classify().1, "wrong_credentials", "{name}");
        }
    }

    #[tokio::test]
    async fn a_hash_of_yesterdays_strength_is_replaced() {
        let mut fixture = fixture(Some(ada()), PasswordCheck::MatchesOutdated);
        fixture
            .users
            .expect_rehash()
            .withf(|id, old, new| {
                *id == USER
                    && old.0.expose_secret() == "old"
                    && new.0.expose_secret() == "hash of analytical1"
            })
            .once()
            .returning(|_, _, _| Ok(()));
        fixture.sessions.expect_open().returning(|_| Ok(()));

        fixture
            .service()
            .log_in(log_in("ada@example.com", "analytical1"), Device::default())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_name_without_an_at_sign_is_a_username() {
        let mut fixture = Fixture::new();
        let name = LoginName::Username(Username::parse("Ada").unwrap());
        fixture.users.expect_credentials().with(eq(name)).once().returning(|_| Ok(None));
        fixture.hasher.expect_verify().returning(|_, _| Ok(PasswordCheck::Differs));

        fixture.service().log_in(log_in("Ada", "x"), Device::default()).await.unwrap_err();
    }
}
