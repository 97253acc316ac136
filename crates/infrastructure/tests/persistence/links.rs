//! The contract of `LinkRepository`.

use futures::future::join_all;
use repartee_application::ports::{
    LinkPurpose, LinkRepository, LoginFailureRepository, LoginName, LoginSessionRepository,
    MailedLink, NameHash, PasswordReset, PortError, UserRepository,
};
use repartee_domain::{Version, accounts::User};
use secrecy::ExposeSecret;

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{at, entry, password, secret_hash, session, session_id, user, user_id},
};

on_both_databases!(
    a_link_is_good_for_its_purpose_until_it_expires,
    who_asks_for_links_takes_none_from_their_owner,
    a_new_link_to_an_address_drops_those_before_it,
    a_link_needs_its_user,
    of_many_who_spend_a_link_one_succeeds,
    a_reset_ends_sessions_and_forgets_failures,
    a_verified_address_stays_verified,
);

use LinkPurpose::{ResetPassword, VerifyEmail};

const NAMES: [NameHash; 2] = [NameHash([1; 32]), NameHash([2; 32])];

fn link(n: u8, purpose: LinkPurpose) -> MailedLink {
    MailedLink { hash: secret_hash(n), purpose, user: user_id(1), expires_at: at(60) }
}

fn reset(n: u8) -> PasswordReset {
    PasswordReset {
        link: secret_hash(n),
        user: user_id(1),
        password: password("new"),
        names: NAMES.to_vec(),
        at: at(10),
    }
}

async fn stored(db: &TestDatabase, purpose: LinkPurpose) {
    let user = User { email_verified_at: None, ..user(1) };
    db.users().register(&user, &password("old"), None, entry()).await.unwrap();
    db.links().store(link(1, purpose), Some(entry())).await.unwrap();
}

async fn a_link_is_good_for_its_purpose_until_it_expires(db: &TestDatabase) {
    stored(db, ResetPassword).await;
    for (n, purpose, second, owner) in [
        (1, ResetPassword, 59, Some(user_id(1))),
        (1, ResetPassword, 60, None),
        (1, VerifyEmail, 1, None),
        (2, ResetPassword, 1, None),
    ] {
        assert_eq!(db.links().owner(secret_hash(n), purpose, at(second)).await.unwrap(), owner);
    }
    let late = PasswordReset { at: at(60), ..reset(1) };
    assert!(matches!(db.links().reset_password(late, entry()).await, Err(PortError::Stale)));
}

async fn who_asks_for_links_takes_none_from_their_owner(db: &TestDatabase) {
    stored(db, ResetPassword).await;
    let links = db.links();
    for n in 2..=5 {
        links.store(link(n, ResetPassword), None).await.unwrap();
    }
    let too_many = links.store(link(6, ResetPassword), None).await;
    assert!(matches!(too_many, Err(PortError::Stale)));
    let is_good =
        async |n| links.owner(secret_hash(n), ResetPassword, at(1)).await.unwrap().is_some();
    assert!(is_good(1).await && is_good(5).await && !is_good(6).await);

    links.reset_password(reset(1), entry()).await.unwrap();

    assert!(!is_good(5).await, "one reset is enough");
}

async fn a_new_link_to_an_address_drops_those_before_it(db: &TestDatabase) {
    stored(db, VerifyEmail).await;
    db.links().store(link(2, ResetPassword), None).await.unwrap();
    db.links().store(link(3, VerifyEmail), None).await.unwrap();

    for (n, purpose, is_good) in
        [(1, VerifyEmail, false), (2, ResetPassword, true), (3, VerifyEmail, true)]
    {
        let owner = db.links().owner(secret_hash(n), purpose, at(1)).await.unwrap();
        assert_eq!(owner.is_some(), is_good, "{n}");
    }
}

async fn a_link_needs_its_user(db: &TestDatabase) {
    let refused = db.links().store(link(1, VerifyEmail), Some(entry())).await;
    assert!(matches!(refused, Err(PortError::Stale)));
    assert_eq!(db.count("audit_logs").await, 0);
}

async fn of_many_who_spend_a_link_one_succeeds(db: &TestDatabase) {
    stored(db, ResetPassword).await;
    let links = db.links();
    let entries = db.count("audit_logs").await;

    let spent = join_all((0..20).map(|_| links.reset_password(reset(1), entry()))).await;

    assert_eq!(spent.iter().filter(|spent| spent.is_ok()).count(), 1);
    assert!(spent.iter().all(|spent| matches!(spent, Ok(()) | Err(PortError::Stale))));
    assert_eq!(db.count("audit_logs").await, entries + 1);
}

async fn a_reset_ends_sessions_and_forgets_failures(db: &TestDatabase) {
    stored(db, ResetPassword).await;
    for n in 1..=2 {
        db.sessions().open(session(n, 1), password("old"), entry()).await.unwrap();
    }
    for name in NAMES {
        db.failures().count(name, at(0), entry()).await.unwrap();
    }

    db.links().reset_password(reset(1), entry()).await.unwrap();

    for n in 1..=2 {
        assert_eq!(db.sessions().principal(session_id(n), at(11)).await.unwrap(), None);
    }
    for name in NAMES {
        assert_eq!(db.failures().find(name).await.unwrap(), None);
    }
    let known = db.users().credentials(&LoginName::Email(user(1).email)).await.unwrap().unwrap();
    assert_eq!(known.password.0.expose_secret(), "new");
    assert_eq!(known.user.email_verified_at, Some(at(10)), "a mail arrived there");
    assert_eq!(known.user.version, Version::new(2));
}

async fn a_verified_address_stays_verified(db: &TestDatabase) {
    stored(db, VerifyEmail).await;
    let links = db.links();
    links.verify_email(secret_hash(1), user_id(1), at(10), entry()).await.unwrap();
    let again = links.verify_email(secret_hash(1), user_id(1), at(11), entry()).await;
    assert!(matches!(again, Err(PortError::Stale)));

    links.store(link(2, VerifyEmail), None).await.unwrap();
    links.verify_email(secret_hash(2), user_id(1), at(20), entry()).await.unwrap();

    let user = db.users().find(user_id(1)).await.unwrap().unwrap();
    assert_eq!(user.email_verified_at, Some(at(10)));
}
