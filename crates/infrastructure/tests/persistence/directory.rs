//! The contract of `UserDirectory`.

use futures::future::join_all;
use repartee_application::{
    PageRequest,
    ports::{
        AccountChange, AccountChanged, ApiKeyRepository, Done, LinkPurpose, LinkRepository,
        LoginSessionRepository, MailedLink, NamesInUse, PortError, UsedKey, UserDirectory,
        UserFilter, UserRepository,
    },
};
use repartee_domain::{
    ApiKeyId, Reference, UserId, Version,
    accounts::{ApiKey, Email, NewApiKey, Role, User, Username},
};
use repartee_infrastructure::persistence::SeaApiKeyRepository;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use uuid::Uuid;

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{NOW, at, entry, key, password, secret_hash, session, session_id, user, user_id},
};

on_both_databases!(
    users_are_found_by_id_and_code_and_guests_are_not,
    users_come_newest_first_page_by_page,
    users_are_found_by_role_state_and_the_beginning_of_a_name,
    a_change_is_stored_with_the_next_version,
    who_is_deactivated_is_signed_out,
    a_new_address_drops_the_links_to_the_old_one,
    the_last_administrator_stays_and_nothing_is_told,
    of_two_administrators_who_demote_each_other_one_stays,
    only_who_is_inactive_is_deleted_and_everything_goes_with_them,
    of_one_request_sent_many_times_at_once_one_makes_a_user,
    whose_address_is_taken_leaves_the_key_free,
    what_a_user_and_their_keys_used_goes_with_them,
    an_import_is_all_or_nothing,
);

async fn with(db: &TestDatabase, n: u32, role: Role) -> User {
    let user = User { role, ..user(n) };
    db.users().register(&user, &password("hash"), None, entry()).await.unwrap();
    user
}

/// A change to what a user is, with nothing following from it.
fn plain(user: User) -> AccountChange {
    AccountChange { user, needs_another_admin: false, ends_sessions: false, drops_links: false }
}

async fn listed(db: &TestDatabase, filter: UserFilter) -> Vec<UserId> {
    let mut ids = Vec::new();
    let mut page = PageRequest { limit: 3, after: None };
    loop {
        let users = db.directory().list(filter.clone(), page).await.unwrap();
        ids.extend(users.items.iter().map(|user| user.id));
        match users.next {
            Some(after) => page.after = Some(after),
            None => return ids,
        }
    }
}

async fn users_are_found_by_id_and_code_and_guests_are_not(db: &TestDatabase) {
    let ada = with(db, 1, Role::User).await;
    let guest = with(db, 2, Role::Guest).await;
    let directory = db.directory();

    for reference in [Reference::Id(ada.id), Reference::Code(ada.code)] {
        assert_eq!(directory.find(reference).await.unwrap(), Some(ada.clone()));
    }
    for reference in [Reference::Id(guest.id), Reference::Code(guest.code)] {
        assert_eq!(directory.find(reference).await.unwrap(), None);
    }
}

async fn users_come_newest_first_page_by_page(db: &TestDatabase) {
    for n in 1..=7 {
        with(db, n, if n == 4 { Role::Guest } else { Role::User }).await;
    }
    let ids = listed(db, UserFilter::default()).await;
    assert_eq!(ids, [7, 6, 5, 3, 2, 1].map(user_id));
}

async fn users_are_found_by_role_state_and_the_beginning_of_a_name(db: &TestDatabase) {
    for (n, email, name, role, is_active) in [
        (1, "ada@example.com", Some("Countess"), Role::Admin, true),
        (2, "adam@example.com", None, Role::User, true),
        (3, "b@example.com", Some("ADA 2"), Role::User, false),
        (4, "a_b%c@example.com", Some("ชา \\"), Role::Manager, true),
    ] {
        let mut user = User { role, is_active, ..user(n) };
        user.email = Email::parse(email).unwrap();
        user.profile.username = name.map(|name| Username::parse(name).unwrap());
        db.users().register(&user, &password("hash"), None, entry()).await.unwrap();
    }
    let by = |prefix: &str| UserFilter { prefix: Some(prefix.into()), ..UserFilter::default() };
    for (filter, found) in [
        (UserFilter { role: Some(Role::User), ..UserFilter::default() }, vec![3, 2]),
        (UserFilter { is_active: Some(false), ..UserFilter::default() }, vec![3]),
        (by("ada"), vec![3, 2, 1]),
        (by("countess"), vec![1]),
        (by("a_"), vec![4]),
        (by("%"), vec![]),
        (by("ชา"), vec![4]),
        (by("ชา \\"), vec![4]),
        (by("example"), vec![]),
        (UserFilter { is_active: Some(true), ..by("ada") }, vec![2, 1]),
    ] {
        let found: Vec<_> = found.into_iter().map(user_id).collect();
        assert_eq!(listed(db, filter.clone()).await, found, "{filter:?}");
    }
}

async fn a_change_is_stored_with_the_next_version(db: &TestDatabase) {
    let ada = with(db, 1, Role::User).await;
    let email = Email::parse("new@example.com").unwrap();
    let changed = User { role: Role::Manager, email, updated_at: at(9), ..ada.clone() };

    let stored = db.directory().change(plain(changed.clone()), vec![entry(), entry()]).await;

    let stored = match stored.unwrap() {
        AccountChanged::Done(user) => *user,
        AccountChanged::LastAdmin => panic!("nobody is one"),
    };
    assert_eq!(stored, User { version: Version::new(2), ..changed.clone() });
    assert_eq!(db.users().find(ada.id).await.unwrap(), Some(stored));
    assert_eq!(db.count("audit_logs").await, 3);
    let late = db.directory().change(plain(changed), vec![entry()]).await;
    assert!(matches!(late, Err(PortError::Stale)));
    assert_eq!(db.count("audit_logs").await, 3);

    let grace = with(db, 2, Role::User).await;
    let email = Email::parse("new@example.com").unwrap();
    let taken = db.directory().change(plain(User { email, ..grace }), vec![]).await;
    assert!(matches!(taken, Err(PortError::Taken { field: "email" })));
}

async fn who_is_deactivated_is_signed_out(db: &TestDatabase) {
    let ada = with(db, 1, Role::User).await;
    let sessions = db.sessions();
    sessions.open(session(1, 1), password("hash"), entry()).await.unwrap();
    assert!(sessions.principal(session_id(1), at(1)).await.unwrap().is_some());
    let inactive = User { is_active: false, ..ada };
    let change = AccountChange { ends_sessions: true, ..plain(inactive.clone()) };

    db.directory().change(change, vec![entry()]).await.unwrap();

    assert_eq!(sessions.principal(session_id(1), at(1)).await.unwrap(), None);
    let again = User { is_active: true, version: Version::new(2), ..inactive };
    db.directory().change(plain(again), vec![entry()]).await.unwrap();
    let still = sessions.principal(session_id(1), at(1)).await.unwrap();
    assert_eq!(still, None, "it has to log in again");
}

async fn a_new_address_drops_the_links_to_the_old_one(db: &TestDatabase) {
    let ada = with(db, 1, Role::User).await;
    let both = [LinkPurpose::ResetPassword, LinkPurpose::VerifyEmail];
    for (n, purpose) in (1..).zip(both) {
        let link = MailedLink { hash: secret_hash(n), purpose, user: ada.id, expires_at: at(60) };
        db.links().store(link, None).await.unwrap();
    }
    let email = Email::parse("new@example.com").unwrap();
    let change = AccountChange { drops_links: true, ..plain(User { email, ..ada }) };

    db.directory().change(change, vec![]).await.unwrap();

    for (n, purpose) in (1..).zip(both) {
        assert_eq!(db.links().owner(secret_hash(n), purpose, at(1)).await.unwrap(), None);
    }
}

async fn the_last_administrator_stays_and_nothing_is_told(db: &TestDatabase) {
    let root = with(db, 1, Role::Admin).await;
    let retired = User { is_active: false, role: Role::Admin, ..user(2) };
    db.users().register(&retired, &password("hash"), None, entry()).await.unwrap();
    db.sessions().open(session(1, 1), password("hash"), entry()).await.unwrap();
    let told = (db.count("audit_logs").await, db.count("feed_events").await);
    let change = AccountChange {
        needs_another_admin: true,
        ends_sessions: true,
        ..plain(User { is_active: false, ..root.clone() })
    };

    let refused = db.directory().change(change, vec![entry()]).await.unwrap();

    assert_eq!(refused, AccountChanged::LastAdmin);
    let stored = db.directory().find(root.id.into()).await.unwrap().unwrap();
    assert!(stored.is_active);
    assert!(db.sessions().principal(session_id(1), at(1)).await.unwrap().is_some());
    assert_eq!((db.count("audit_logs").await, db.count("feed_events").await), told);
}

async fn of_two_administrators_who_demote_each_other_one_stays(db: &TestDatabase) {
    for round in 0..8 {
        let admins: Vec<User> =
            join_all((1..=3).map(|n| with(db, round * 10 + n, Role::Admin))).await;
        let demoted = join_all(admins.into_iter().map(async |admin| {
            let change = AccountChange {
                needs_another_admin: true,
                ..plain(User { role: Role::User, ..admin })
            };
            db.directory().change(change, vec![entry()]).await.unwrap()
        }))
        .await;
        let stayed = demoted.iter().filter(|one| **one == AccountChanged::LastAdmin).count();
        assert_eq!(stayed, 1);
        db.execute("DELETE FROM users").await;
    }
}

async fn only_who_is_inactive_is_deleted_and_everything_goes_with_them(db: &TestDatabase) {
    db.with_conversation(1).await;
    db.sessions().open(session(1, 1), password("hash"), entry()).await.unwrap();
    let kept = db.directory().delete(user_id(1), entry()).await;
    assert!(matches!(kept, Err(PortError::Stale)), "is active");
    let inactive = User { is_active: false, ..user(1) };
    db.directory()
        .change(AccountChange { ends_sessions: true, ..plain(inactive) }, vec![])
        .await
        .unwrap();
    let entries = db.count("audit_logs").await;

    db.directory().delete(user_id(1), entry()).await.unwrap();

    for table in ["users", "conversations", "login_sessions", "feeds", "feed_events"] {
        assert_eq!(db.count(table).await, 0, "{table}");
    }
    assert_eq!(db.count("audit_logs").await, entries + 1);
    let again = db.directory().delete(user_id(1), entry()).await;
    assert!(matches!(again, Err(PortError::Stale)));
}

/// Makes user `n` in the name of user 1.
async fn make(db: &TestDatabase, n: u32, name: &str) -> Result<Option<UsedKey>, PortError> {
    let key = Some(key(name, at(60)));
    db.directory().make(user(n), password("hash"), user_id(1), key, entry()).await
}

async fn of_one_request_sent_many_times_at_once_one_makes_a_user(db: &TestDatabase) {
    with(db, 1, Role::Admin).await;
    let entries = db.count("audit_logs").await;

    // Each time with an id of its own, and the same address.
    let made = join_all((2..=9).map(|n| {
        let user = User { email: user(2).email, profile: user(2).profile, ..user(n) };
        let directory = db.directory();
        async move {
            let key = Some(key("a", at(60)));
            directory.make(user, password("hash"), user_id(1), key, entry()).await
        }
    }))
    .await;

    let stored = listed(db, UserFilter { role: Some(Role::User), ..UserFilter::default() }).await;
    assert_eq!(stored.len(), 1);
    let done = Done::Resource(stored[0].as_uuid());
    let used = UsedKey { fingerprint: [3; 32], done };
    let made: Vec<_> = made.into_iter().map(Result::unwrap).collect();
    assert_eq!(made.iter().filter(|one| one.is_none()).count(), 1);
    assert_eq!(made.iter().filter(|one| **one == Some(used)).count(), 7);
    assert_eq!(db.count("audit_logs").await, entries + 1);
}

async fn whose_address_is_taken_leaves_the_key_free(db: &TestDatabase) {
    with(db, 1, Role::Admin).await;

    let namesake = User { id: user_id(9), code: user(9).code, ..user(1) };
    let its_key = Some(key("a", at(60)));
    let taken = db.directory().make(namesake, password("hash"), user_id(1), its_key, entry()).await;

    assert!(matches!(taken, Err(PortError::Taken { .. })), "{taken:?}");
    assert_eq!(db.count("idempotency_keys").await, 0);
    assert_eq!(make(db, 2, "a").await.unwrap(), None);
    assert!(make(db, 3, "a").await.unwrap().is_some());
    // Without a key each request makes another.
    let made = db.directory().make(user(3), password("hash"), user_id(1), None, entry()).await;
    assert_eq!(made.unwrap(), None);
    assert_eq!(db.count("users").await, 3);
}

/// Tokens that somebody used in some month.
async fn with_budget(db: &TestDatabase, subject: Uuid) {
    let sql = match db.db.reader().get_database_backend() {
        DbBackend::Sqlite => "INSERT INTO token_budgets VALUES (?, '2027-01', 5, 0)",
        _ => "INSERT INTO token_budgets VALUES ($1, '2027-01', 5, 0)",
    };
    db.db
        .write(move |tx| {
            Box::pin(async move {
                let backend = tx.get_database_backend();
                let insert = Statement::from_sql_and_values(backend, sql, [subject.into()]);
                tx.execute_raw(insert).await.unwrap();
                Ok(())
            })
        })
        .await
        .unwrap();
}

async fn what_a_user_and_their_keys_used_goes_with_them(db: &TestDatabase) {
    let keys = SeaApiKeyRepository::new(db.db.clone(), std::sync::Arc::new(db.tasks.clone()));
    for n in 1..=2 {
        db.with_user(n).await;
        let id = ApiKeyId::from_uuid(Uuid::from_u128(n.into()));
        let wish = NewApiKey { name: "a script".into(), ..NewApiKey::default() };
        let key = ApiKey::make(id, user_id(n), "rpt_secret-that-is-long", wish, NOW).unwrap();
        let secret = secret_hash(u8::try_from(n).unwrap());
        keys.insert(key, secret, 1, None, entry()).await.unwrap();
        with_budget(db, user_id(n).as_uuid()).await;
        with_budget(db, id.as_uuid()).await;
    }
    db.execute("UPDATE users SET is_active = FALSE").await;

    db.directory().delete(user_id(1), entry()).await.unwrap();

    assert_eq!(db.count("token_budgets").await, 2, "those of the other");
    db.directory().delete(user_id(2), entry()).await.unwrap();
    assert_eq!(db.count("token_budgets").await, 0);
}

async fn an_import_is_all_or_nothing(db: &TestDatabase) {
    with(db, 1, Role::User).await;
    let directory = db.directory();
    let new = |n| (user(n), password("imported"));

    let namesake = User { id: user_id(9), code: user(9).code, ..user(1) };
    let namesake = (namesake, password("imported"));
    let clash = directory.import(vec![new(2), namesake], vec![entry(), entry()]).await;
    assert!(matches!(clash, Err(PortError::Taken { .. })));
    assert_eq!(db.count("users").await, 1);
    directory.import((2..=700).map(new).collect(), vec![entry()]).await.unwrap();

    assert_eq!(db.count("users").await, 700);
    let emails = ["user1@example.com", "user700@example.com", "nobody@example.com"];
    let in_use = directory.in_use(emails.map(Into::into).to_vec(), vec!["user 3".into()]).await;
    let expected = NamesInUse {
        emails: emails[..2].iter().map(|email| (*email).to_owned()).collect(),
        usernames: ["user 3".to_owned()].into(),
    };
    assert_eq!(in_use.unwrap(), expected);
}
