//! The contract of `LoginSessionRepository`.

use futures::future::join_all;
use repartee_application::{
    PageRequest,
    ports::{LoginSessionRepository, PortError, Principal, StoredRefreshToken, UserRepository},
};
use repartee_domain::accounts::{LoginSession, Role};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{NOW, at, entry, password, session, session_id, token_hash, token_id, user_id},
};

on_both_databases!(
    a_session_needs_the_password_that_was_proved,
    opening_a_session_is_the_users_last_log_in,
    a_session_needs_its_user,
    a_token_reads_back_as_stored,
    rotating_spends_the_token,
    of_many_concurrent_uses_of_a_token_one_succeeds,
    a_token_of_another_session_cannot_be_spent,
    an_ended_session_rotates_no_more,
    ending_all_spares_other_people,
    a_session_that_was_ended_names_nobody_at_once,
    a_session_that_ran_out_names_nobody,
    rotation_carries_a_session_on,
    a_deactivated_user_is_nobody,
    ending_while_rotating_leaves_no_token_behind,
    devices_are_the_sessions_that_are_good,
);

/// The token that follows `spent` in the session.
fn next(session: &LoginSession, token: u32, seconds: i64) -> LoginSession {
    LoginSession {
        token: token_id(token),
        token_hash: token_hash(token),
        expires_at: at(600 + seconds),
        created_at: at(seconds),
        ..session.clone()
    }
}

async fn a_session_needs_the_password_that_was_proved(db: &TestDatabase) {
    db.with_user(1).await;
    // It was changed while the old one was being hashed.
    let late = db.sessions().open(session(1, 1), password("another"), entry()).await;
    assert!(matches!(late, Err(PortError::Stale)));
    assert_eq!(db.count("login_sessions").await, 0);
}

async fn stored(db: &TestDatabase, token: u32) -> StoredRefreshToken {
    db.sessions().find_token(token_hash(token)).await.unwrap().unwrap()
}

async fn opening_a_session_is_the_users_last_log_in(db: &TestDatabase) {
    db.with_user(1).await;
    let mut session = session(1, 1);
    session.signed_in_at = at(5);

    db.sessions().open(session, password("hash"), entry()).await.unwrap();

    let user = db.users().find(user_id(1)).await.unwrap().unwrap();
    assert_eq!(user.last_login_at, Some(at(5)));
    assert_eq!(user.version, crate::fixtures::user(1).version);
}

async fn a_session_needs_its_user(db: &TestDatabase) {
    assert!(matches!(
        db.sessions().open(session(1, 1), password("hash"), entry()).await,
        Err(PortError::Stale)
    ));
    assert_eq!(db.count("login_sessions").await, 0);
}

async fn a_token_reads_back_as_stored(db: &TestDatabase) {
    db.with_user(1).await;
    db.sessions().open(session(1, 1), password("hash"), entry()).await.unwrap();

    let token = stored(db, 1).await;
    assert_eq!(token.session, session(1, 1));
    assert!(!token.is_revoked && !token.is_successor_used);
    assert_eq!(token.rotated_at, None);
    assert!(db.sessions().find_token(token_hash(9)).await.unwrap().is_none());
}

async fn rotating_spends_the_token(db: &TestDatabase) {
    db.with_user(1).await;
    let first = session(1, 1);
    let (second, third) = (next(&first, 2, 10), next(&first, 3, 20));
    db.sessions().open(first, password("hash"), entry()).await.unwrap();

    db.sessions().rotate(token_id(1), second.clone(), entry()).await.unwrap();
    let spent = stored(db, 1).await;
    assert_eq!((spent.rotated_at, spent.is_successor_used), (Some(at(10)), false));
    assert_eq!(stored(db, 2).await.session, second);

    db.sessions().rotate(token_id(2), third, entry()).await.unwrap();
    assert!(stored(db, 1).await.is_successor_used);
    assert!(!stored(db, 2).await.is_successor_used);
}

async fn of_many_concurrent_uses_of_a_token_one_succeeds(db: &TestDatabase) {
    db.with_user(1).await;
    let first = session(1, 1);
    let sessions = db.sessions();
    sessions.open(first.clone(), password("hash"), entry()).await.unwrap();

    let uses = (2..52).map(|n| sessions.rotate(token_id(1), next(&first, n, 1), entry()));
    let results = join_all(uses).await;

    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 49));
    assert!(lost.iter().all(|result| matches!(result, Err(PortError::Stale))));
    assert_eq!(db.count("login_sessions").await, 2);
}

async fn a_token_of_another_session_cannot_be_spent(db: &TestDatabase) {
    db.with_user(1).await;
    db.sessions().open(session(1, 1), password("hash"), entry()).await.unwrap();

    let refused = db.sessions().rotate(token_id(1), session(2, 1), entry()).await;

    assert!(matches!(refused, Err(PortError::Stale)));
    assert_eq!(stored(db, 1).await.rotated_at, None);
}

async fn an_ended_session_rotates_no_more(db: &TestDatabase) {
    db.with_user(1).await;
    let first = session(1, 1);
    db.sessions().open(first.clone(), password("hash"), entry()).await.unwrap();

    db.sessions().end(session_id(1), at(1), entry()).await.unwrap();
    db.sessions().end(session_id(1), at(2), entry()).await.unwrap();

    assert!(stored(db, 1).await.is_revoked);
    let refused = db.sessions().rotate(token_id(1), next(&first, 2, 3), entry()).await;
    assert!(matches!(refused, Err(PortError::Stale)));
}

async fn ending_all_spares_other_people(db: &TestDatabase) {
    for n in 1..=2 {
        db.with_user(n).await;
    }
    for (n, user) in [(1, 1), (2, 1), (3, 2)] {
        db.sessions().open(session(n, user), password("hash"), entry()).await.unwrap();
    }

    db.sessions().end_all(user_id(1), at(1), entry()).await.unwrap();

    assert!(stored(db, 1).await.is_revoked && stored(db, 2).await.is_revoked);
    assert!(!stored(db, 3).await.is_revoked);
}

async fn a_session_that_was_ended_names_nobody_at_once(db: &TestDatabase) {
    db.with_user(1).await;
    let sessions = db.sessions();
    for n in 1..=2 {
        sessions.open(session(n, 1), password("hash"), entry()).await.unwrap();
        let ada = Some(Principal { user: user_id(1), role: Role::User });
        assert_eq!(sessions.principal(session_id(n), NOW).await.unwrap(), ada);
    }

    sessions.end(session_id(1), NOW, entry()).await.unwrap();
    assert_eq!(sessions.principal(session_id(1), NOW).await.unwrap(), None);
    assert!(sessions.principal(session_id(2), NOW).await.unwrap().is_some());

    sessions.end_all(user_id(1), NOW, entry()).await.unwrap();
    assert_eq!(sessions.principal(session_id(2), NOW).await.unwrap(), None);
}

async fn a_session_that_ran_out_names_nobody(db: &TestDatabase) {
    db.with_user(1).await;
    let sessions = db.sessions();
    sessions.open(session(1, 1), password("hash"), entry()).await.unwrap();

    assert!(sessions.principal(session_id(1), at(599)).await.unwrap().is_some());
    assert_eq!(sessions.principal(session_id(1), at(600)).await.unwrap(), None);
    assert_eq!(sessions.principal(session_id(2), NOW).await.unwrap(), None);
}

async fn rotation_carries_a_session_on(db: &TestDatabase) {
    db.with_user(1).await;
    let sessions = db.sessions();
    let first = session(1, 1);
    sessions.open(first.clone(), password("hash"), entry()).await.unwrap();
    assert!(sessions.principal(session_id(1), at(599)).await.unwrap().is_some());

    sessions.rotate(token_id(1), next(&first, 2, 500), entry()).await.unwrap();

    assert!(sessions.principal(session_id(1), at(1_099)).await.unwrap().is_some());
    assert_eq!(sessions.principal(session_id(1), at(1_100)).await.unwrap(), None);
}

async fn a_deactivated_user_is_nobody(db: &TestDatabase) {
    db.with_user(1).await;
    db.sessions().open(session(1, 1), password("hash"), entry()).await.unwrap();
    db.execute("UPDATE users SET is_active = FALSE").await;

    assert_eq!(db.sessions().principal(session_id(1), NOW).await.unwrap(), None);
}

async fn ending_while_rotating_leaves_no_token_behind(db: &TestDatabase) {
    db.with_user(1).await;
    let sessions = db.sessions();
    for n in 0..20 {
        let first = session(100 + n, 1);
        sessions.open(first.clone(), password("hash"), entry()).await.unwrap();

        let (_, ended) = futures::join!(
            sessions.rotate(first.token, next(&first, 200 + n, 1), entry()),
            sessions.end(first.id, at(1), entry()),
        );

        ended.unwrap();
        assert_eq!(sessions.principal(first.id, at(2)).await.unwrap(), None);
    }
}

async fn devices_are_the_sessions_that_are_good(db: &TestDatabase) {
    db.with_user(1).await;
    db.with_user(2).await;
    let sessions = db.sessions();
    for n in 1..=5 {
        sessions.open(session(n, 1), password("hash"), entry()).await.unwrap();
    }
    sessions.open(session(9, 2), password("hash"), entry()).await.unwrap();
    let expired = LoginSession { expires_at: at(3), ..session(6, 1) };
    sessions.open(expired, password("hash"), entry()).await.unwrap();
    sessions.end(session_id(4), at(1), entry()).await.unwrap();
    sessions.rotate(token_id(2), next(&session(2, 1), 20, 2), entry()).await.unwrap();

    let mut ids = Vec::new();
    let mut page = PageRequest { limit: 2, after: None };
    loop {
        let devices = sessions.devices(user_id(1), page, at(5)).await.unwrap();
        ids.extend(devices.items);
        match devices.next {
            Some(after) => page.after = Some(after),
            None => break,
        }
    }

    let listed: Vec<_> = ids.iter().map(|device| device.id).collect();
    assert_eq!(listed, [5, 3, 2, 1].map(session_id));
    let rotated = &ids[2];
    assert_eq!((rotated.signed_in_at, rotated.last_used_at), (NOW, at(2)));
    assert_eq!(rotated.ip.as_deref(), Some("2001:db8::1"));
    for (owner, session, is_there) in [(1, 1, true), (1, 4, false), (1, 6, false), (2, 1, false)] {
        let found = sessions.is_device_of(user_id(owner), session_id(session), at(5)).await;
        assert_eq!(found.unwrap(), is_there, "{owner} {session}");
    }
}
