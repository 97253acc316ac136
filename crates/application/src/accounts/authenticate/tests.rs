use chrono::TimeDelta;
use repartee_domain::{ApiKeyId, UserId, accounts::Role};
use uuid::Uuid;

use super::*;
use crate::{
    accounts::fixture::{NOW, SESSION, USER, good_key},
    ports::{
        MockApiKeyRepository, MockClock, MockLoginSessionRepository, MockTokenSigner, Principal,
        SecretHash,
    },
};

const OTHER: UserId = UserId::from_uuid(Uuid::from_u128(999));

fn secret() -> String {
    format!("rpt_{}", "s".repeat(43))
}

/// `good` is a token of a login session, `narrow` one that a key got for `read`.
fn signer() -> MockTokenSigner {
    let mut signer = MockTokenSigner::new();
    signer.expect_verify().returning(|token, _| {
        let holder = match token {
            "good" => Holder::Session(SESSION),
            "narrow" => {
                let scopes = "read files".parse().unwrap();
                Holder::Key { id: good_key("chat").key.id, scopes }
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
    signer.expect_hash_secret().return_const(SecretHash([4; 32]));
    signer
}

fn authenticator(principal: Option<Principal>, keys: MockApiKeyRepository) -> Authenticator {
    let mut sessions = MockLoginSessionRepository::new();
    sessions.expect_principal().returning(move |_, _| Ok(principal));
    let mut clock = MockClock::new();
    clock.expect_now().return_const(NOW);
    Authenticator::new(AuthenticatorPorts {
        sessions: Arc::new(sessions),
        keys: Arc::new(keys),
        signer: Arc::new(signer()),
        clock: Arc::new(clock),
        external: None,
    })
}

/// A key is found, or none.
fn keys(good: Option<GoodKey>) -> MockApiKeyRepository {
    let mut keys = MockApiKeyRepository::new();
    keys.expect_find_good().returning(move |_, _| Ok(good.clone()));
    keys
}

#[tokio::test]
async fn a_good_token_tells_who_and_with_which_role_today() {
    let principal = Principal { user: USER, role: Role::Manager };
    let authenticator = authenticator(Some(principal), keys(None));

    let access = authenticator.authenticate("good", Origin::default()).await.unwrap();

    assert_eq!((access.actor.user, access.actor.role), (USER, Role::Manager));
    assert_eq!(access.actor.session(), Some(SESSION));
    assert_eq!(access.expires_at, NOW + TimeDelta::minutes(30));
}

#[tokio::test]
async fn a_bad_token_an_ended_session_and_another_user_are_refused() {
    for (token, principal) in [
        ("bad", Some(Principal { user: USER, role: Role::User })),
        ("good", None),
        ("good", Some(Principal { user: OTHER, role: Role::User })),
    ] {
        let authenticator = authenticator(principal, keys(None));
        let error = authenticator.authenticate(token, Origin::default()).await.unwrap_err();
        assert_eq!(error.classify().1, "unauthenticated");
    }
}

#[tokio::test]
async fn a_key_acts_for_its_owner_and_its_use_is_noted() {
    let good = GoodKey { role: Role::Admin, ..good_key("read") };
    let mut keys = keys(Some(good.clone()));
    keys.expect_note_use()
        .withf(|_, now, first| *now == NOW && first.action == Action::KeyFirstUsed)
        .once()
        .returning(|_, _, _| ());

    let access = authenticator(None, keys).authenticate(&secret(), Origin::default()).await;

    let access = access.unwrap();
    assert_eq!((access.actor.user, access.actor.role), (USER, Role::Admin));
    assert_eq!(access.actor.key(), Some(&*good.key));
    assert!(access.expires_at > NOW + TimeDelta::days(3_000));
}

#[tokio::test]
async fn a_use_a_moment_after_the_last_is_not_noted() {
    let good = good_key("chat");
    let end = NOW + TimeDelta::days(1);
    let key = ApiKey {
        last_used_at: Some(NOW - TimeDelta::seconds(59)),
        expires_at: Some(end),
        ..ApiKey::clone(&good.key)
    };
    let keys = keys(Some(GoodKey { key: Arc::new(key), ..good }));

    let access = authenticator(None, keys).authenticate(&secret(), Origin::default()).await;

    assert_eq!(access.unwrap().expires_at, end);
}

#[tokio::test]
async fn a_key_that_is_good_no_more_is_refused() {
    for token in [secret(), "narrow".into()] {
        let authenticator = authenticator(None, keys(None));
        let error = authenticator.authenticate(&token, Origin::default()).await.unwrap_err();
        assert_eq!(error.classify().1, "unauthenticated");
    }
}

#[tokio::test]
async fn a_token_of_a_key_opens_what_both_do() {
    let authenticator = authenticator(None, keys(Some(good_key("chat read"))));

    let access = authenticator.authenticate("narrow", Origin::default()).await.unwrap();

    assert_eq!(access.actor.key().unwrap().scopes.to_string(), "read");
    assert_eq!(access.expires_at, NOW + TimeDelta::minutes(30));
}

#[tokio::test]
async fn a_token_of_somebody_elses_key_is_refused() {
    let good = good_key("chat read");
    let key = Arc::new(ApiKey { owner: OTHER, ..ApiKey::clone(&good.key) });
    let authenticator = authenticator(None, keys(Some(GoodKey { key, ..good })));

    let error = authenticator.authenticate("narrow", Origin::default()).await.unwrap_err();

    assert_eq!(error.classify().1, "unauthenticated");
}

#[tokio::test]
async fn what_a_key_opened_ends_with_it() {
    let credential = Credential::Key(good_key("chat").key);
    let actor = Actor { user: USER, role: Role::User, credential, origin: Origin::default() };
    for (good, has_ended) in [(Some(good_key("chat")), false), (None, true)] {
        let mut keys = MockApiKeyRepository::new();
        let id = ApiKeyId::from_uuid(Uuid::from_u128(103));
        keys.expect_find_good()
            .withf(move |name, _| *name == KeyName::Id(id))
            .returning(move |_, _| Ok(good.clone()));
        assert_eq!(authenticator(None, keys).has_ended(&actor).await.unwrap(), has_ended);
    }
}
