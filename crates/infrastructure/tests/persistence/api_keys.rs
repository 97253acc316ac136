//! The contract of `ApiKeyRepository`.

use std::sync::Arc;

use chrono::TimeDelta;
use futures::future::join_all;
use repartee_application::{
    PageRequest,
    ports::{ApiKeyRepository, Done, GoodKey, KeyInserted, KeyName, NewKey, PortError, UsedKey},
};
use repartee_domain::{
    ApiKeyId,
    accounts::{ApiKey, NewApiKey, Role},
    audit::{Action, AuditActor, AuditEntry},
};
use repartee_infrastructure::persistence::SeaApiKeyRepository;
use uuid::Uuid;

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{NOW, at, key as idempotency, secret_hash, user_id},
};

on_both_databases!(
    a_key_is_found_by_its_secret_and_by_its_id,
    everything_that_a_key_says_is_kept,
    a_key_needs_its_owner,
    however_many_are_made_at_once_no_more_than_may_be_live,
    keys_that_are_over_make_room,
    of_one_request_sent_many_times_at_once_one_makes_a_key,
    one_key_too_many_leaves_its_name_free,
    own_keys_are_listed_newest_first_page_by_page,
    a_revoked_key_is_nobodys_at_once,
    a_key_that_expired_is_nobodys,
    of_a_deactivated_owner_nothing_is_good,
    nobody_revokes_somebody_elses_key,
    revoking_twice_is_recorded_once,
    the_first_use_is_recorded_once,
    a_use_is_written_once_a_minute,
    what_is_done_with_a_key_can_be_recorded,
);

const MOST: u32 = 3;

fn key_id(n: u8) -> ApiKeyId {
    ApiKeyId::from_uuid(Uuid::from_u128(u128::from(n)))
}

/// Key `n` of user `owner`.
fn key(n: u8, owner: u32) -> ApiKey {
    let wish = NewApiKey { name: format!("key {n} 🗝"), ..NewApiKey::default() };
    ApiKey::make(key_id(n), user_id(owner), "rpt_secret-that-is-long", wish, NOW).unwrap()
}

fn entry(action: Action) -> AuditEntry {
    AuditEntry::new(AuditActor::System, action, NOW)
}

/// As good as another process.
fn keys(db: &TestDatabase) -> SeaApiKeyRepository {
    SeaApiKeyRepository::new(db.db.clone(), Arc::new(db.tasks.clone()))
}

/// Whether it was stored.
async fn insert(db: &TestDatabase, n: u8, owner: u32) -> Result<bool, PortError> {
    store(db, key(n, owner), n, None).await.map(|inserted| inserted == KeyInserted::Done)
}

async fn store(
    db: &TestDatabase,
    key: ApiKey,
    secret: u8,
    idempotency: Option<NewKey>,
) -> Result<KeyInserted, PortError> {
    let entry = entry(Action::KeyMade);
    keys(db).insert(key, secret_hash(secret), MOST, idempotency, entry).await
}

async fn with_key(db: &TestDatabase, n: u8, owner: u32) {
    db.with_user(owner).await;
    assert!(insert(db, n, owner).await.unwrap());
}

async fn recorded(db: &TestDatabase, action: Action) -> i64 {
    db.count(&format!("audit_logs WHERE action = '{}'", action.as_str())).await
}

async fn a_key_is_found_by_its_secret_and_by_its_id(db: &TestDatabase) {
    with_key(db, 1, 1).await;
    let good = GoodKey { key: Arc::new(key(1, 1)), role: Role::User };
    let keys = keys(db);
    for name in [KeyName::Secret(secret_hash(1)), KeyName::Id(key_id(1))] {
        for _ in 0..2 {
            assert_eq!(keys.find_good(name, NOW).await.unwrap(), Some(good.clone()));
        }
    }
    for name in [KeyName::Secret(secret_hash(2)), KeyName::Id(key_id(2))] {
        assert_eq!(keys.find_good(name, NOW).await.unwrap(), None);
    }
    assert_eq!(recorded(db, Action::KeyMade).await, 1);
}

async fn everything_that_a_key_says_is_kept(db: &TestDatabase) {
    db.with_user(1).await;
    let key = ApiKey {
        scopes: "read files analytics".parse().unwrap(),
        models: Some(vec!["small".into(), "größer, \"quoted\"".into()]),
        requests_per_minute: Some(u32::MAX),
        monthly_token_budget: Some(1_000_000_000_000_000),
        expires_at: Some(at(60)),
        ..key(1, 1)
    };
    store(db, key.clone(), 1, None).await.unwrap();
    let found = keys(db).find_good(KeyName::Id(key.id), NOW).await.unwrap().unwrap();
    assert_eq!(*found.key, key);
}

async fn a_key_needs_its_owner(db: &TestDatabase) {
    assert!(matches!(insert(db, 1, 1).await, Err(PortError::Stale)));
    assert_eq!(db.count("api_keys").await, 0);
    assert_eq!(recorded(db, Action::KeyMade).await, 0);
}

async fn however_many_are_made_at_once_no_more_than_may_be_live(db: &TestDatabase) {
    db.with_user(1).await;
    let made = join_all((1..=12).map(|n| insert(db, n, 1))).await;
    assert_eq!(made.into_iter().filter(|made| *made.as_ref().unwrap()).count(), 3);
    assert_eq!(db.count("api_keys").await, 3);
    assert_eq!(recorded(db, Action::KeyMade).await, 3);
    // Somebody else's do not count.
    with_key(db, 20, 2).await;
}

async fn keys_that_are_over_make_room(db: &TestDatabase) {
    db.with_user(1).await;
    for n in 1..=2 {
        assert!(insert(db, n, 1).await.unwrap());
    }
    let short = ApiKey { expires_at: Some(at(10)), ..key(3, 1) };
    let keys = keys(db);
    store(db, short, 3, None).await.unwrap();
    assert!(!insert(db, 4, 1).await.unwrap());

    keys.revoke(user_id(1), key_id(1), NOW, entry(Action::KeyRevoked)).await.unwrap();
    assert!(insert(db, 4, 1).await.unwrap());
    assert!(!insert(db, 5, 1).await.unwrap());
    let later = ApiKey { created_at: at(10), ..key(5, 1) };
    assert_eq!(store(db, later, 5, None).await.unwrap(), KeyInserted::Done);
}

async fn of_one_request_sent_many_times_at_once_one_makes_a_key(db: &TestDatabase) {
    db.with_user(1).await;
    let named = || Some(idempotency("a", at(60)));
    let made = join_all((1..=12).map(|n| store(db, key(n, 1), n, named()))).await;

    let page = PageRequest { limit: 20, after: None };
    let stored = keys(db).list(user_id(1), page).await.unwrap().items;
    assert_eq!(stored.len(), 1);
    let done = Done::Resource(stored[0].id.as_uuid());
    let before = KeyInserted::DoneBefore(UsedKey { fingerprint: [3; 32], done });
    let made: Vec<_> = made.into_iter().map(Result::unwrap).collect();
    assert_eq!(made.iter().filter(|one| **one == KeyInserted::Done).count(), 1);
    assert_eq!(made.iter().filter(|one| **one == before).count(), 11);
    assert_eq!(recorded(db, Action::KeyMade).await, 1);
}

async fn one_key_too_many_leaves_its_name_free(db: &TestDatabase) {
    db.with_user(1).await;
    for n in 1..=3 {
        let named = idempotency(&n.to_string(), at(60));
        assert_eq!(store(db, key(n, 1), n, Some(named)).await.unwrap(), KeyInserted::Done);
    }
    let named = |name: &str| Some(idempotency(name, at(60)));

    let refused = store(db, key(4, 1), 4, named("4")).await.unwrap();

    assert_eq!(refused, KeyInserted::TooMany);
    assert_eq!(db.count("idempotency_keys").await, 3);
    // What was done before is told, also where there is no room for more.
    let again = store(db, key(5, 1), 5, named("3")).await.unwrap();
    assert!(matches!(again, KeyInserted::DoneBefore(_)), "{again:?}");
    keys(db).revoke(user_id(1), key_id(1), NOW, entry(Action::KeyRevoked)).await.unwrap();
    assert_eq!(store(db, key(4, 1), 4, named("4")).await.unwrap(), KeyInserted::Done);
}

async fn own_keys_are_listed_newest_first_page_by_page(db: &TestDatabase) {
    db.with_user(1).await;
    with_key(db, 9, 2).await;
    for n in [1, 2, 3] {
        assert!(insert(db, n, 1).await.unwrap());
    }
    let keys = keys(db);
    keys.revoke(user_id(1), key_id(2), at(5), entry(Action::KeyRevoked)).await.unwrap();

    let page = |after| keys.list(user_id(1), PageRequest { limit: 2, after });
    let first = page(None).await.unwrap();
    let ids: Vec<_> = first.items.iter().map(|key| key.id).collect();
    assert_eq!((ids, first.next), (vec![key_id(3), key_id(2)], Some(key_id(2))));
    assert_eq!(first.items[1].revoked_at, Some(at(5)));
    let second = page(first.next).await.unwrap();
    assert_eq!((second.items, second.next), (vec![key(1, 1)], None));
}

async fn a_revoked_key_is_nobodys_at_once(db: &TestDatabase) {
    with_key(db, 1, 1).await;
    let keys = keys(db);
    let names = [KeyName::Secret(secret_hash(1)), KeyName::Id(key_id(1))];
    for name in names {
        assert!(keys.find_good(name, NOW).await.unwrap().is_some());
    }
    assert!(keys.revoke(user_id(1), key_id(1), NOW, entry(Action::KeyRevoked)).await.unwrap());
    for name in names {
        assert_eq!(keys.find_good(name, NOW).await.unwrap(), None);
    }
}

async fn a_key_that_expired_is_nobodys(db: &TestDatabase) {
    db.with_user(1).await;
    let short = ApiKey { expires_at: Some(at(10)), ..key(1, 1) };
    let keys = keys(db);
    store(db, short, 1, None).await.unwrap();
    let name = KeyName::Secret(secret_hash(1));
    assert!(keys.find_good(name, at(9)).await.unwrap().is_some());
    assert_eq!(keys.find_good(name, at(10)).await.unwrap(), None);
}

async fn of_a_deactivated_owner_nothing_is_good(db: &TestDatabase) {
    with_key(db, 1, 1).await;
    db.execute("UPDATE users SET is_active = FALSE").await;
    assert_eq!(keys(db).find_good(KeyName::Id(key_id(1)), NOW).await.unwrap(), None);
}

async fn nobody_revokes_somebody_elses_key(db: &TestDatabase) {
    with_key(db, 1, 1).await;
    db.with_user(2).await;
    let keys = keys(db);
    for (owner, n) in [(2, 1), (1, 2)] {
        let entry = entry(Action::KeyRevoked);
        assert!(!keys.revoke(user_id(owner), key_id(n), NOW, entry).await.unwrap());
    }
    assert!(keys.find_good(KeyName::Id(key_id(1)), NOW).await.unwrap().is_some());
    assert_eq!(recorded(db, Action::KeyRevoked).await, 0);
}

async fn revoking_twice_is_recorded_once(db: &TestDatabase) {
    with_key(db, 1, 1).await;
    let keys = keys(db);
    for seconds in [1, 2] {
        let entry = entry(Action::KeyRevoked);
        assert!(keys.revoke(user_id(1), key_id(1), at(seconds), entry).await.unwrap());
    }
    assert_eq!(recorded(db, Action::KeyRevoked).await, 1);
    let listed = keys.list(user_id(1), PageRequest { limit: 1, after: None }).await.unwrap();
    assert_eq!(listed.items[0].revoked_at, Some(at(1)));
}

async fn last_used_at(db: &TestDatabase) -> Option<chrono::DateTime<chrono::Utc>> {
    let listed = keys(db).list(user_id(1), PageRequest { limit: 1, after: None }).await.unwrap();
    listed.items[0].last_used_at
}

/// Uses of one key, in as many processes, of which every one is noted.
async fn use_at(db: &TestDatabase, seconds: &[i64]) {
    for second in seconds {
        keys(db).note_use(key_id(1), at(*second), entry(Action::KeyFirstUsed));
    }
    db.tasks.close_and_wait().await;
}

async fn the_first_use_is_recorded_once(db: &TestDatabase) {
    with_key(db, 1, 1).await;
    use_at(db, &[0; 8]).await;
    assert_eq!(recorded(db, Action::KeyFirstUsed).await, 1);
    assert_eq!(last_used_at(db).await, Some(NOW));
}

async fn a_use_is_written_once_a_minute(db: &TestDatabase) {
    with_key(db, 1, 1).await;
    for (used, written) in [(0, 0), (59, 0), (60, 60), (90, 60), (120, 120), (30, 120)] {
        use_at(db, &[used]).await;
        assert_eq!(last_used_at(db).await, Some(NOW + TimeDelta::seconds(written)), "{used}");
    }
    assert_eq!(recorded(db, Action::KeyFirstUsed).await, 1);
}

async fn what_is_done_with_a_key_can_be_recorded(db: &TestDatabase) {
    keys(db).record(entry(Action::TokenMade)).await.unwrap();
    assert_eq!(recorded(db, Action::TokenMade).await, 1);
}
