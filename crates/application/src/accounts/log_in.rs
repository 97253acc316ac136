//! Proving who one is, with a password.

use chrono::TimeDelta;
use repartee_domain::{
    UserId,
    accounts::{Email, PasswordPolicy, User, Username},
    audit::{Action, AuditActor},
};
use secrecy::{ExposeSecret, SecretString};

use super::{AccountService, SignedIn};
use crate::{
    AppError, Origin,
    ports::{Credentials, LoginName, PasswordCheck, PasswordHash, PortError},
};

#[derive(Debug)]
pub struct LogIn {
    /// An e-mail address or a username.
    pub name: String,
    pub password: SecretString,
}

/// What was proved may not be so any more once the session is opened: the password was changed
/// meanwhile, or hashed anew by another log-in.
const PROOFS: u32 = 2;

/// What a name and a password prove.
enum Proof {
    /// With the hash that says so.
    Of(Box<User>, PasswordHash),
    /// Nothing; with who has that name, where somebody does.
    Nothing(Option<UserId>),
}

impl AccountService {
    /// Signs somebody in. Costs one hashing and answers alike, whether the name is unknown, the
    /// password wrong or empty, or the user deactivated.
    pub async fn log_in(&self, log_in: LogIn, origin: &Origin) -> Result<SignedIn, AppError> {
        self.log_in_for(log_in, self.rules.access, origin).await
    }

    /// As [`AccountService::log_in`]; the access token is good for `access`.
    pub async fn log_in_for(
        &self,
        log_in: LogIn,
        access: TimeDelta,
        origin: &Origin,
    ) -> Result<SignedIn, AppError> {
        let attempt = self.ports.throttle.enter(&log_in.name).await?;
        for _ in 0..PROOFS {
            let (user, proof) = match self.prove(&log_in).await? {
                Proof::Of(user, proof) => (*user, proof),
                Proof::Nothing(user) => {
                    attempt.failed(user, origin).await?;
                    return Err(AppError::WrongCredentials);
                }
            };
            match self.sign_in(user, proof, access, origin).await {
                Ok(signed_in) => {
                    attempt.succeeded().await?;
                    return Ok(signed_in);
                }
                Err(AppError::Port(PortError::Stale)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(AppError::WrongCredentials)
    }

    async fn sign_in(
        &self,
        user: User,
        proof: PasswordHash,
        access: TimeDelta,
        origin: &Origin,
    ) -> Result<SignedIn, AppError> {
        let now = self.ports.clock.now();
        let (session, refresh) = self.open_session(user.id, origin, now);
        let tokens = self.token_pair(&session, refresh, access, now)?;
        let entry = origin.entry(AuditActor::User(user.id), Action::LoggedIn, now);
        let entry = entry.on("login_session", session.id);
        self.ports.sessions.open(session, proof, entry).await?;
        let user = User { last_login_at: Some(now), ..user };
        Ok(SignedIn { user, tokens })
    }

    async fn prove(&self, log_in: &LogIn) -> Result<Proof, AppError> {
        let known = match parse_name(&log_in.name) {
            Some(name) => self.ports.users.credentials(&name).await?,
            None => None,
        };
        let password = PasswordPolicy::normalise(log_in.password.expose_secret());
        let hash = known.as_ref().map(|known| known.password.clone());
        let check = self.ports.hasher.verify(password.clone().into(), hash).await?;
        let Some(Credentials { user, password: old }) = known else {
            return Ok(Proof::Nothing(None));
        };
        if check == PasswordCheck::Differs || !user.is_active {
            return Ok(Proof::Nothing(Some(user.id)));
        }
        if check == PasswordCheck::MatchesOutdated {
            let new = self.ports.hasher.hash(password.into()).await?;
            self.ports.users.rehash(user.id, &old, &new).await?;
            return Ok(Proof::Of(Box::new(user), new));
        }
        Ok(Proof::Of(Box::new(user), old))
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
    use mockall::predicate::eq;

    use super::*;
    use crate::{
        accounts::fixture::{Fixture, NOW, USER, ada},
        ports::{LoginFailures, MockLoginFailureRepository, PasswordHash},
    };

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
            .withf(|session, proof, entry| {
                session.user == USER
                    && proof.0.expose_secret() == "old"
                    && entry.actor.user() == Some(USER)
            })
            .once()
            .returning(|_, _, _| Ok(()));

        let signed_in = fixture
            .service()
            .log_in(log_in("ADA@example.com", "analytical1"), &Origin::default())
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
            let known = user.as_ref().map(|user| user.id);
            let mut fixture = fixture(user, check);
            fixture
                .failures
                .expect_count()
                .withf(move |_, at, entry| {
                    *at == NOW
                        && entry.action == Action::LogInFailed
                        && entry.actor.user() == known
                        && !format!("{entry:?}").contains("example.com")
                })
                .once()
                .returning(|_, _, _| Ok(()));
            let error = fixture
                .service()
                .log_in(log_in(name, password), &Origin::default())
                .await
                .unwrap_err();
            assert_eq!(error.classify().1, "wrong_credentials", "{name}");
        }
    }

    /// A name that failed so often, at [`NOW`].
    fn failed(wait: Option<TimeDelta>) -> MockLoginFailureRepository {
        let wait_until = wait.map(|wait| NOW + wait);
        let mut failures = MockLoginFailureRepository::new();
        failures
            .expect_find()
            .withf(|name| name.0.starts_with(b"ada@example.com\0"))
            .returning(move |_| Ok(Some(LoginFailures { failures: 7, wait_until })));
        failures
    }

    #[tokio::test]
    async fn while_a_name_waits_every_try_is_refused_and_nothing_is_hashed() {
        let mut fixture = Fixture::new();
        fixture.failures = failed(Some(TimeDelta::milliseconds(3_001)));
        let service = fixture.service();

        let refused = service
            .log_in(log_in(" ADA@Example.com ", "analytical1"), &Origin::default())
            .await
            .unwrap_err();

        assert_eq!(refused.classify().1, "too_many_failures");
        assert_eq!(refused.retry_after(), Some(std::time::Duration::from_secs(4)));
    }

    #[tokio::test]
    async fn a_success_after_the_wait_forgets_the_failures() {
        for wait in [None, Some(TimeDelta::zero())] {
            let mut fixture = fixture(Some(ada()), PasswordCheck::Matches);
            fixture.failures = failed(wait);
            fixture.failures.expect_clear().once().returning(|_| Ok(()));
            fixture.sessions.expect_open().once().returning(|_, _, _| Ok(()));

            let log_in = log_in("ada@example.com", "analytical1");
            fixture.service().log_in(log_in, &Origin::default()).await.unwrap();
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
        fixture.sessions.expect_open().returning(|_, _, _| Ok(()));

        fixture
            .service()
            .log_in(log_in("ada@example.com", "analytical1"), &Origin::default())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_name_without_an_at_sign_is_a_username() {
        let mut fixture = Fixture::new();
        let name = LoginName::Username(Username::parse("Ada").unwrap());
        fixture.users.expect_credentials().with(eq(name)).once().returning(|_| Ok(None));
        fixture.hasher.expect_verify().returning(|_, _| Ok(PasswordCheck::Differs));
        fixture.failures.expect_count().returning(|_, _, _| Ok(()));

        fixture.service().log_in(log_in("Ada", "x"), &Origin::default()).await.unwrap_err();
    }
}
