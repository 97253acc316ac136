//! What the account tests share.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::Relaxed},
};

use chrono::{DateTime, TimeDelta, Utc};
use repartee_domain::{
    LoginSessionId, RefreshTokenId, UserId, Version,
    accounts::{
        Email, LoginSession, PasswordPolicy, Profile, RefreshTokenHash, Role, SessionLifetime, User,
    },
};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::{AccountPorts, AccountRules, AccountService};
use crate::ports::{
    MockClock, MockCommonPasswords, MockIdGenerator, MockLoginSessionRepository,
    MockPasswordHasher, MockTokenSigner, MockUserRepository, PasswordHash,
};

pub(super) const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);
pub(super) const LIFETIME: SessionLifetime =
    SessionLifetime { idle: TimeDelta::days(7), absolute: TimeDelta::days(30) };
pub(super) const USER: UserId = UserId::from_uuid(Uuid::from_u128(100));
pub(super) const SESSION: LoginSessionId = LoginSessionId::from_uuid(Uuid::from_u128(101));

/// Mocks that a test adds its expectations to. Hashing gives `hash of …`.
pub(super) struct Fixture {
    pub(super) users: MockUserRepository,
    pub(super) sessions: MockLoginSessionRepository,
    pub(super) hasher: MockPasswordHasher,
    pub(super) signer: MockTokenSigner,
    pub(super) rules: AccountRules,
}

impl Fixture {
    pub(super) fn new() -> Self {
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
        Self {
            users: MockUserRepository::new(),
            sessions: MockLoginSessionRepository::new(),
            hasher,
            signer,
            rules: AccountRules {
                is_registration_open: true,
                password: PasswordPolicy::default(),
                access: TimeDelta::minutes(30),
                session: LIFETIME,
            },
        }
    }

    pub(super) fn service(self) -> AccountService {
        let mut clock = MockClock::new();
        clock.expect_now().return_const(NOW);
        let mut common_passwords = MockCommonPasswords::new();
        common_passwords.expect_contains().returning(|password| password == "password1");
        let counter = AtomicU8::new(1);
        let mut ids = MockIdGenerator::new();
        ids.expect_id()
            .returning(move || Uuid::from_u128(u128::from(counter.fetch_add(1, Relaxed))));
        ids.expect_random().return_const([7; 32]);
        let ports = AccountPorts {
            users: Arc::new(self.users),
            sessions: Arc::new(self.sessions),
            hasher: Arc::new(self.hasher),
            common_passwords: Arc::new(common_passwords),
            signer: Arc::new(self.signer),
            clock: Arc::new(clock),
            ids: Arc::new(ids),
        };
        AccountService::new(ports, self.rules)
    }
}

pub(super) fn ada() -> User {
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

pub(super) fn session() -> LoginSession {
    LoginSession::open(
        SESSION,
        RefreshTokenId::from_uuid(Uuid::from_u128(102)),
        USER,
        RefreshTokenHash([1; 32]),
        LIFETIME,
        NOW - TimeDelta::days(1),
    )
}
