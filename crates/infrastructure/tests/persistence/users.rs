//! The contract of `UserRepository`.

use repartee_application::ports::{
    LinkPurpose, LinkRepository, LoginName, LoginSessionRepository, MailedLink, PasswordChange,
    PortError, UserRepository,
};
use repartee_domain::{
    Version,
    accounts::{Email, Profile, Username},
};
use secrecy::ExposeSecret;

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{NOW, at, entry, password, secret_hash, session, session_id, user, user_id},
};

on_both_databases!(
    a_user_reads_back_as_registered,
    the_first_session_is_stored_with_the_user,
    a_taken_address_registers_nobody,
    a_taken_username_is_found_without_regard_to_case,
    people_without_usernames_do_not_get_in_each_others_way,
    somebody_is_found_by_address_and_by_name,
    a_profile_is_saved_with_the_next_version,
    the_second_of_two_writers_is_told_its_copy_is_stale,
    a_hash_is_replaced_unless_it_was_meanwhile,
    the_first_user_ends_the_emptiness,
    a_new_password_ends_every_session_but_one_and_drops_links,
    a_password_that_was_changed_meanwhile_stays,
);

async fn a_user_reads_back_as_registered(db: &TestDatabase) {
    let users = db.users();
    users.register(&user(1), &password("hash"), None, entry()).await.unwrap();

    assert_eq!(users.find(user_id(1)).await.unwrap(), Some(user(1)));
    assert_eq!(users.find(user_id(2)).await.unwrap(), None);
}

async fn the_first_session_is_stored_with_the_user(db: &TestDatabase) {
    db.users().register(&user(1), &password("hash"), Some(session(1, 1)), entry()).await.unwrap();

    let principal = db.sessions().principal(session_id(1), NOW).await.unwrap();
    assert_eq!(principal.map(|principal| principal.user), Some(user_id(1)));
}

async fn a_taken_address_registers_nobody(db: &TestDatabase) {
    db.with_user(1).await;
    let mut other = user(2);
    other.email = user(1).email;

    let refused =
        db.users().register(&other, &password("hash"), Some(session(1, 2)), entry()).await;

    assert!(matches!(refused, Err(PortError::Taken { field: "email" })));
    assert_eq!(db.users().find(user_id(2)).await.unwrap(), None);
    assert_eq!(db.count("login_sessions").await, 0);
}

async fn a_taken_username_is_found_without_regard_to_case(db: &TestDatabase) {
    let mut first = user(1);
    first.profile.username = Some(Username::parse("Åsa").unwrap());
    db.users().register(&first, &password("hash"), None, entry()).await.unwrap();
    let taken = Some(Username::parse("ÅSA").unwrap());

    let mut second = user(2);
    second.profile.username.clone_from(&taken);
    let refused = db.users().register(&second, &password("hash"), None, entry()).await;
    assert!(matches!(refused, Err(PortError::Taken { field: "username" })));

    db.with_user(3).await;
    let mut third = user(3);
    third.profile.username = taken;
    let refused = db.users().save(third, entry()).await;
    assert!(matches!(refused, Err(PortError::Taken { field: "username" })));
}

async fn people_without_usernames_do_not_get_in_each_others_way(db: &TestDatabase) {
    for n in 1..=2 {
        let mut nameless = user(n);
        nameless.profile = Profile::default();
        db.users().register(&nameless, &password("hash"), None, entry()).await.unwrap();
        assert_eq!(db.users().find(user_id(n)).await.unwrap(), Some(nameless));
    }
}

async fn somebody_is_found_by_address_and_by_name(db: &TestDatabase) {
    let users = db.users();
    users.register(&user(1), &password("$argon2id$hash"), None, entry()).await.unwrap();
    let by_address = LoginName::Email(Email::parse("USER1@example.com").unwrap());
    let by_name = LoginName::Username(Username::parse("uSER 1").unwrap());
    let unknown = LoginName::Username(Username::parse("user").unwrap());

    for name in [by_address, by_name] {
        let found = users.credentials(&name).await.unwrap().unwrap();
        assert_eq!(found.user, user(1));
        assert_eq!(found.password.0.expose_secret(), "$argon2id$hash");
    }
    assert!(users.credentials(&unknown).await.unwrap().is_none());
}

async fn a_profile_is_saved_with_the_next_version(db: &TestDatabase) {
    db.with_user(1).await;
    let mut changed = user(1);
    changed.profile = Profile { first_name: Some("Ada".into()), ..Profile::default() };
    changed.updated_at = at(9);

    let entries = db.count("audit_logs").await;

    let saved = db.users().save(changed.clone(), entry()).await.unwrap();

    changed.version = Version::new(2);
    assert_eq!(saved, changed);
    assert_eq!(db.users().find(user_id(1)).await.unwrap(), Some(changed));
    assert_eq!(db.count("audit_logs").await, entries + 1);
}

async fn the_second_of_two_writers_is_told_its_copy_is_stale(db: &TestDatabase) {
    db.with_user(1).await;
    db.users().save(user(1), entry()).await.unwrap();
    let entries = db.count("audit_logs").await;

    assert!(matches!(db.users().save(user(1), entry()).await, Err(PortError::Stale)));
    assert!(matches!(db.users().save(user(2), entry()).await, Err(PortError::Stale)));
    assert_eq!(db.count("audit_logs").await, entries, "what was not done is not told");
}

async fn a_hash_is_replaced_unless_it_was_meanwhile(db: &TestDatabase) {
    let users = db.users();
    users.register(&user(1), &password("old"), None, entry()).await.unwrap();
    users.rehash(user_id(1), &password("old"), &password("new")).await.unwrap();
    users.rehash(user_id(1), &password("old"), &password("late")).await.unwrap();

    let found = users.credentials(&LoginName::Email(user(1).email)).await.unwrap().unwrap();
    assert_eq!(found.password.0.expose_secret(), "new");
}

async fn the_first_user_ends_the_emptiness(db: &TestDatabase) {
    assert!(db.users().is_empty().await.unwrap());
    db.with_user(1).await;
    assert!(!db.users().is_empty().await.unwrap());
}

fn change(old: &str) -> PasswordChange {
    PasswordChange {
        user: user_id(1),
        old: password(old),
        new: password("new"),
        keep: Some(session_id(1)),
        at: at(5),
    }
}

async fn a_new_password_ends_every_session_but_one_and_drops_links(db: &TestDatabase) {
    db.users().register(&user(1), &password("old"), None, entry()).await.unwrap();
    for n in 1..=3 {
        db.sessions().open(session(n, 1), password("old"), entry()).await.unwrap();
    }
    let purpose = LinkPurpose::ResetPassword;
    let link = MailedLink { hash: secret_hash(1), purpose, user: user_id(1), expires_at: at(60) };
    db.links().store(link, None).await.unwrap();

    db.users().change_password(change("old"), entry()).await.unwrap();

    let credentials = db.users().credentials(&LoginName::Email(user(1).email)).await.unwrap();
    assert_eq!(credentials.unwrap().password.0.expose_secret(), "new");
    for (n, is_kept) in [(1, true), (2, false), (3, false)] {
        let principal = db.sessions().principal(session_id(n), at(6)).await.unwrap();
        assert_eq!(principal.is_some(), is_kept, "{n}");
    }
    assert_eq!(db.links().owner(secret_hash(1), purpose, at(6)).await.unwrap(), None);
}

async fn a_password_that_was_changed_meanwhile_stays(db: &TestDatabase) {
    db.users().register(&user(1), &password("newer"), None, entry()).await.unwrap();
    db.sessions().open(session(2, 1), password("newer"), entry()).await.unwrap();
    let entries = db.count("audit_logs").await;

    let refused = db.users().change_password(change("old"), entry()).await;

    assert!(matches!(refused, Err(PortError::Stale)));
    assert!(db.sessions().principal(session_id(2), at(6)).await.unwrap().is_some());
    assert_eq!(db.count("audit_logs").await, entries);
}
