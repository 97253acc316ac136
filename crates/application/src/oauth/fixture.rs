//! What the OAuth tests share.

use std::sync::Arc;

use chrono::TimeDelta;
use repartee_domain::{
    UserId,
    accounts::{RefreshTokenHash, Role},
};
use uuid::Uuid;

use super::{ClientCredentials, OauthPorts, OauthRules, OauthService};
use crate::{
    accounts::{
        Authenticator, AuthenticatorPorts,
        fixture::{self as accounts, NOW, SESSION, USER, good_key},
    },
    ports::{
        AccessClaims, GoodKey, Holder, MockApiKeyRepository, MockClock, MockIdGenerator,
        MockLoginSessionRepository, MockTokenSigner, Principal, SecretHash,
    },
};

/// Mocks that a test adds its expectations to. `access` is a token of a login session, `of a key`
/// one that a key got for `read`.
pub(super) struct Fixture {
    pub(super) accounts: accounts::Fixture,
    pub(super) sessions: MockLoginSessionRepository,
    pub(super) keys: MockApiKeyRepository,
    good: Option<GoodKey>,
}

pub(super) fn secret() -> String {
    format!("rpt_{}", "s".repeat(43))
}

/// Who has the key of [`good_key`].
pub(super) fn client() -> ClientCredentials {
    ClientCredentials { id: good_key("chat").key.id.to_string(), secret: secret().into() }
}

impl Fixture {
    pub(super) fn without_key() -> Self {
        Self {
            accounts: accounts::Fixture::new(),
            sessions: MockLoginSessionRepository::new(),
            keys: MockApiKeyRepository::new(),
            good: None,
        }
    }

    pub(super) fn with_key(good: GoodKey) -> Self {
        Self { good: Some(good), ..Self::without_key() }
    }

    pub(super) fn service(mut self) -> OauthService {
        let good = self.good.clone();
        self.keys.expect_find_good().returning(move |_, _| Ok(good.clone()));
        self.keys.expect_note_use().returning(|_, _, _| ());
        let signer = Arc::new(signer());
        let keys = Arc::new(self.keys);
        let mut clock = MockClock::new();
        clock.expect_now().return_const(NOW);
        let clock = Arc::new(clock);
        let mut signed_in = MockLoginSessionRepository::new();
        signed_in
            .expect_principal()
            .returning(|id, _| Ok((id == SESSION).then_some(principal(USER))));
        let mut ids = MockIdGenerator::new();
        ids.expect_id().return_const(Uuid::from_u128(8));
        let authenticator = Authenticator::new(AuthenticatorPorts {
            sessions: Arc::new(signed_in),
            keys: keys.clone(),
            signer: signer.clone(),
            clock: clock.clone(),
            external: None,
        });
        let ports = OauthPorts {
            accounts: Arc::new(self.accounts.service()),
            authenticator: Arc::new(authenticator),
            sessions: Arc::new(self.sessions),
            keys,
            signer,
            clock,
            ids: Arc::new(ids),
        };
        let rules = OauthRules { access: TimeDelta::minutes(30), issuer: "repartee".into() };
        OauthService::new(ports, rules)
    }
}

fn principal(user: UserId) -> Principal {
    Principal { user, role: Role::User }
}

fn signer() -> MockTokenSigner {
    let mut signer = MockTokenSigner::new();
    signer.expect_verify().returning(|token, _| {
        let holder = match token {
            "access" => Holder::Session(SESSION),
            "of a key" => {
                Holder::Key { id: good_key("chat").key.id, scopes: "read".parse().unwrap() }
            }
            _ => return None,
        };
        Some(AccessClaims {
            user: USER,
            holder,
            token: Uuid::from_u128(1),
            issued_at: NOW,
            expires_at: NOW + TimeDelta::minutes(30),
        })
    });
    signer.expect_sign().returning(|_| Ok("signed".into()));
    signer.expect_hash_secret().return_const(SecretHash([4; 32]));
    signer.expect_hash_refresh_token().return_const(RefreshTokenHash([5; 32]));
    signer
}
