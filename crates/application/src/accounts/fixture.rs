//! What the account tests share.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU8, Ordering::Relaxed},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use repartee_domain::{
    ApiKeyId, LoginSessionId, RefreshTokenId, UserId, Version,
    accounts::{
        ApiKey, Email, LoginSession, NewApiKey, PasswordPolicy, Profile, RefreshTokenHash, Role,
        SessionLifetime, User,
    },
};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{
    AccountPorts, AccountRules, AccountService, LetterPorts, Letters, LogInThrottle,
    RecoveryService, ThrottlePorts,
};
use crate::ports::{
    GoodKey, MockClock, MockCommonPasswords, MockIdGenerator, MockLinkRepository,
    MockLoginFailureRepository, MockLoginSessionRepository, MockMailer, MockPasswordHasher,
    MockTokenSigner, MockUserRepository, NameHash, PasswordHash, SecretHash, Spawner,
};

pub(crate) const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);
pub(crate) const LIFETIME: SessionLifetime =
    SessionLifetime { idle: TimeDelta::days(7), absolute: TimeDelta::days(30) };
pub(crate) const USER: UserId = UserId::from_uuid(Uuid::from_u128(100));
pub(crate) const SESSION: LoginSessionId = LoginSessionId::from_uuid(Uuid::from_u128(101));

/// Keeps what is spawned, for a test to run.
#[derive(Default)]
pub(crate) struct KeptTasks(Mutex<Vec<BoxFuture<'static, ()>>>);

impl Spawner for KeptTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.lock().unwrap().push(task);
    }
}

impl KeptTasks {
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Runs what was spawned, and what that spawns.
    pub(crate) async fn run(&self) {
        while self.len() > 0 {
            let tasks = std::mem::take(&mut *self.0.lock().unwrap());
            futures::future::join_all(tasks).await;
        }
    }
}

/// Mocks that a test adds its expectations to. Hashing gives `hash of …`, and nobody has failed to
/// log in. What goes on in the background does so when the test runs `tasks`.
pub(crate) struct Fixture {
    pub(crate) users: MockUserRepository,
    pub(crate) sessions: MockLoginSessionRepository,
    pub(crate) failures: MockLoginFailureRepository,
    pub(crate) links: MockLinkRepository,
    pub(crate) mailer: MockMailer,
    pub(crate) hasher: MockPasswordHasher,
    pub(crate) signer: MockTokenSigner,
    pub(crate) tasks: Arc<KeptTasks>,
    pub(crate) rules: AccountRules,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_hash().returning(|password| {
            Ok(PasswordHash(format!("hash of {}", password.expose_secret()).into()))
        });
        let mut signer = MockTokenSigner::new();
        signer.expect_sign().returning(|_| Ok(SecretString::from("access")));
        signer.expect_hash_refresh_token().returning(|token| {
            let mut hash = [0; 32];
            hash.copy_from_slice(&token.as_bytes()[..32]);
            RefreshTokenHash(hash)
        });
        signer.expect_hash_name().returning(|name| {
            let mut hash = [0; 32];
            hash.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
            NameHash(hash)
        });
        signer.expect_hash_secret().returning(|secret| {
            let mut hash = [0; 32];
            hash.iter_mut().zip(secret.bytes()).for_each(|(place, byte)| *place = byte);
            SecretHash(hash)
        });
        let mut failures = MockLoginFailureRepository::new();
        failures.expect_find().returning(|_| Ok(None));
        Self {
            users: MockUserRepository::new(),
            sessions: MockLoginSessionRepository::new(),
            failures,
            links: MockLinkRepository::new(),
            mailer: MockMailer::new(),
            hasher,
            signer,
            tasks: Arc::default(),
            rules: AccountRules {
                is_registration_open: true,
                hides_registration: false,
                password: PasswordPolicy::default(),
                access: TimeDelta::minutes(30),
                session: LIFETIME,
            },
        }
    }

    pub(crate) fn service(self) -> AccountService {
        Arc::into_inner(self.services().0).unwrap()
    }

    pub(crate) fn recovery(self) -> RecoveryService {
        let (accounts, links) = self.services();
        RecoveryService::new(accounts, links)
    }

    fn services(self) -> (Arc<AccountService>, Arc<MockLinkRepository>) {
        let mut clock = MockClock::new();
        clock.expect_now().return_const(NOW);
        let mut common_passwords = MockCommonPasswords::new();
        common_passwords.expect_contains().returning(|password| password == "password1");
        let counter = AtomicU8::new(1);
        let mut ids = MockIdGenerator::new();
        ids.expect_id()
            .returning(move || Uuid::from_u128(u128::from(counter.fetch_add(1, Relaxed))));
        ids.expect_random().return_const([7; 32]);
        let (clock, signer, ids) = (Arc::new(clock), Arc::new(self.signer), Arc::new(ids));
        let links = Arc::new(self.links);
        let letters = LetterPorts {
            links: links.clone(),
            mailer: Arc::new(self.mailer),
            signer: signer.clone(),
            spawner: self.tasks,
            clock: clock.clone(),
            ids: ids.clone(),
        };
        let throttle = ThrottlePorts {
            failures: Arc::new(self.failures),
            signer: signer.clone(),
            clock: clock.clone(),
        };
        let ports = AccountPorts {
            users: Arc::new(self.users),
            sessions: Arc::new(self.sessions),
            hasher: Arc::new(self.hasher),
            common_passwords: Arc::new(common_passwords),
            throttle: Arc::new(LogInThrottle::new(throttle)),
            letters: Letters::new(letters, "https://chat.example.com"),
            signer,
            clock,
            ids,
        };
        (Arc::new(AccountService::new(ports, self.rules)), links)
    }
}

pub(crate) fn ada() -> User {
    User {
        id: USER,
        code: "ABCDEFGHIJKLMNOP".parse().unwrap(),
        email: Email::from_stored("ada@example.com".into()),
        role: Role::User,
        is_active: true,
        profile: Profile::default(),
        email_verified_at: None,
        last_login_at: None,
        created_at: NOW,
        updated_at: NOW,
        version: Version::FIRST,
    }
}

/// A key with these scopes, of Ada's.
pub(crate) fn good_key(scopes: &str) -> GoodKey {
    let wish = NewApiKey {
        name: "a script".into(),
        scopes: Some(scopes.split(' ').map(Into::into).collect()),
        ..NewApiKey::default()
    };
    let id = ApiKeyId::from_uuid(Uuid::from_u128(103));
    let key = ApiKey::make(id, USER, "rpt_secret", wish, NOW).unwrap();
    GoodKey { key: Arc::new(key), role: Role::User }
}

pub(crate) fn session() -> LoginSession {
    LoginSession::open(
        SESSION,
        RefreshTokenId::from_uuid(Uuid::from_u128(102)),
        USER,
        RefreshTokenHash([1; 32]),
        LIFETIME,
        NOW - TimeDelta::days(1),
    )
}
