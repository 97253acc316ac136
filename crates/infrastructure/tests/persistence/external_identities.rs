//! The contract of `ExternalIdentityRepository`.

use futures::future::join_all;
use repartee_application::ports::{
    ExternalIdentity, ExternalIdentityRepository, MappedUser, PortError, Principal, UserRepository,
};
use repartee_domain::accounts::{Email, Profile, Role, User};
use repartee_infrastructure::persistence::SeaExternalIdentityRepository;

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{entry, password, user, user_id},
};

on_both_databases!(
    somebody_who_was_mapped_is_found,
    of_many_first_sights_at_once_one_makes_a_user,
    an_address_that_is_taken_stays_its_owners,
    the_same_subject_of_another_issuer_is_somebody_else,
    a_deactivated_user_is_known_as_such,
);

fn identity(issuer: &str, subject: &str) -> ExternalIdentity {
    ExternalIdentity { issuer: issuer.into(), subject: subject.into() }
}

fn ada() -> ExternalIdentity {
    identity("https://login.example", "auth0|ada ไทย")
}

/// User `n` as they are made at first sight.
fn somebody(n: u32) -> User {
    User { profile: Profile::default(), ..user(n) }
}

fn identities(db: &TestDatabase) -> SeaExternalIdentityRepository {
    SeaExternalIdentityRepository::new(db.db.clone())
}

async fn map(db: &TestDatabase, identity: ExternalIdentity, user: User) -> Result<(), PortError> {
    identities(db).map(identity, user, password("hash"), entry()).await
}

fn active(n: u32) -> MappedUser {
    MappedUser { user: user_id(n), role: Role::User, is_active: true }
}

async fn somebody_who_was_mapped_is_found(db: &TestDatabase) {
    let identities = identities(db);
    assert_eq!(identities.find(&ada()).await.unwrap(), None);
    map(db, ada(), somebody(1)).await.unwrap();

    for _ in 0..2 {
        assert_eq!(identities.find(&ada()).await.unwrap(), Some(active(1)));
        let principal = Principal { user: user_id(1), role: Role::User };
        assert_eq!(identities.principal(user_id(1)).await.unwrap(), Some(principal));
    }
    assert_eq!(db.users().find(user_id(1)).await.unwrap(), Some(somebody(1)));
    assert_eq!(identities.principal(user_id(2)).await.unwrap(), None);
    assert_eq!(db.count("audit_logs").await, 1);
}

async fn of_many_first_sights_at_once_one_makes_a_user(db: &TestDatabase) {
    let tries = join_all((1..=12).map(|n| map(db, ada(), somebody(n)))).await;

    let (won, lost): (Vec<_>, Vec<_>) = tries.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    let is_taken =
        |lost: &Result<(), PortError>| matches!(lost, Err(PortError::Taken { field: "identity" }));
    assert!(lost.iter().all(is_taken), "{lost:?}");
    assert_eq!((db.count("users").await, db.count("audit_logs").await), (1, 1));
}

async fn an_address_that_is_taken_stays_its_owners(db: &TestDatabase) {
    db.with_user(1).await;
    let same = Email::parse("USER1@example.com").unwrap();
    let refused = map(db, ada(), User { email: same, ..somebody(2) }).await;
    assert!(matches!(refused, Err(PortError::Taken { field: "email" })), "{refused:?}");
    assert_eq!(identities(db).find(&ada()).await.unwrap(), None);
}

async fn the_same_subject_of_another_issuer_is_somebody_else(db: &TestDatabase) {
    map(db, ada(), somebody(1)).await.unwrap();
    let elsewhere = identity("https://other.example", &ada().subject);
    assert_eq!(identities(db).find(&elsewhere).await.unwrap(), None);
    map(db, elsewhere.clone(), somebody(2)).await.unwrap();
    assert_eq!(identities(db).find(&elsewhere).await.unwrap(), Some(active(2)));
}

async fn a_deactivated_user_is_known_as_such(db: &TestDatabase) {
    map(db, ada(), somebody(1)).await.unwrap();
    db.execute("UPDATE users SET is_active = FALSE").await;
    let inactive = MappedUser { is_active: false, ..active(1) };
    assert_eq!(identities(db).find(&ada()).await.unwrap(), Some(inactive));
    assert_eq!(identities(db).principal(user_id(1)).await.unwrap(), None);
}
