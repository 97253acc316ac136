//! What waits for what, where rows are locked: nobody for ever, and nobody for what is only pointed
//! at.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use repartee_application::ports::{
    AccountChange, ApiKeyRepository, ConversationRepository, KeyInserted, LinkPurpose,
    LinkRepository, LoginSessionRepository, MailedLink, PasswordReset, PortError, SecretHash,
    TurnRepository, UserDirectory, UserRepository,
};
use repartee_domain::{
    ApiKeyId,
    accounts::{ApiKey, Email, LoginSession, NewApiKey, Role, User, Username},
};
use repartee_infrastructure::persistence::SeaApiKeyRepository;
use sea_orm::ConnectionTrait;
use tokio::{sync::oneshot, time::timeout};
use uuid::Uuid;

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{
        NOW, at, conversation, conversation_id, entry, finished, password, secret_hash, session,
        token_hash, token_id, turn, user, user_id,
    },
};

on_both_databases!(whatever_changes_accounts_at_once_waits_for_nobody_for_ever);

const USERS: u32 = 3;
const TASKS: u32 = 12;
const ROUNDS: u32 = 8;
/// Nothing takes so long that does not wait for a lock.
const TOO_LONG: Duration = Duration::from_secs(20);

/// Does something while a transaction is open that stored what points at the users 1 and 2, as each
/// turn of theirs does.
async fn while_pointed_at<T>(
    db: &TestDatabase,
    work: impl Future<Output = Result<T, PortError>>,
) -> T {
    let (stored, is_stored) = oneshot::channel();
    let (done, is_done) = oneshot::channel::<()>();
    let pointing = db.db.write(move |tx| {
        Box::pin(async move {
            let insert = "INSERT INTO feeds (owner_id, last_seq) SELECT id, 1 FROM users";
            tx.execute_unprepared(insert).await.unwrap();
            stored.send(()).unwrap();
            let _ = is_done.await;
            Ok(())
        })
    });
    let working = async {
        is_stored.await.unwrap();
        let Ok(worked) = timeout(TOO_LONG, work).await else {
            panic!("it waits for who points at a user");
        };
        drop(done);
        worked.unwrap()
    };
    let (pointed, worked) = futures::join!(pointing, working);
    pointed.unwrap();
    worked
}

async fn with_admins(db: &TestDatabase, count: u32) {
    for n in 1..=count {
        let admin = User { role: Role::Admin, ..user(n) };
        db.users().register(&admin, &password("hash"), None, entry()).await.unwrap();
    }
}

#[tokio::test]
async fn a_role_changes_while_turns_of_administrators_are_stored() {
    let db = TestDatabase::postgres().await;
    db.run(async |db| {
        with_admins(db, 2).await;
        let change = AccountChange {
            user: User { role: Role::User, ..user(1) },
            needs_another_admin: true,
            ends_sessions: false,
            drops_links: false,
        };

        while_pointed_at(db, db.directory().change(change, vec![entry()])).await;

        let changed = db.users().find(user_id(1)).await.unwrap().unwrap();
        assert_eq!(changed.role, Role::User);
    })
    .await;
}

#[tokio::test]
async fn a_name_changes_while_a_turn_of_its_owner_is_stored() {
    let db = TestDatabase::postgres().await;
    db.run(async |db| {
        db.with_user(1).await;
        let mut renamed = user(1);
        renamed.profile.username = Some(Username::parse("Countess").unwrap());

        let renamed = while_pointed_at(db, db.users().save(renamed, entry())).await;

        let email = Email::parse("countess@example.com").unwrap();
        db.execute("DELETE FROM feeds").await;
        let change = AccountChange {
            user: User { email: email.clone(), ..renamed },
            needs_another_admin: false,
            ends_sessions: false,
            drops_links: true,
        };
        while_pointed_at(db, db.directory().change(change, vec![entry()])).await;
        assert_eq!(db.users().find(user_id(1)).await.unwrap().unwrap().email, email);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_made_while_a_turn_of_its_owner_is_stored() {
    let db = TestDatabase::postgres().await;
    db.run(async |db| {
        db.with_user(1).await;
        let keys = SeaApiKeyRepository::new(db.db.clone(), Arc::new(db.tasks.clone()));
        let id = ApiKeyId::from_uuid(Uuid::from_u128(1));
        let wish = NewApiKey { name: "a script".into(), ..NewApiKey::default() };
        let key = ApiKey::make(id, user_id(1), "rpt_secret-that-is-long", wish, NOW).unwrap();

        let made = while_pointed_at(db, keys.insert(key, secret_hash(1), 1, None, entry())).await;

        assert!(matches!(made, KeyInserted::Done));
    })
    .await;
}

/// Whoever is late learns that it was; a deadlock would be a database that is out of order.
fn settled<T>(result: Result<T, PortError>) {
    match result {
        Ok(_) | Err(PortError::Stale) => {}
        Err(error) => panic!("{error}: {error:?}"),
    }
}

/// Another address for somebody, and with `ends_sessions` the end of what they are signed in to.
async fn readdress(db: &TestDatabase, owner: u32, n: u32, ends_sessions: bool) {
    let user = db.users().find(user_id(owner)).await.unwrap().unwrap();
    let email = Email::parse(&format!("user{n}@example.com")).unwrap();
    let change = AccountChange {
        user: User { email, ..user },
        needs_another_admin: ends_sessions,
        ends_sessions,
        drops_links: true,
    };
    settled(db.directory().change(change, vec![entry()]).await);
}

async fn mailed(db: &TestDatabase, owner: u32, n: u32, purpose: LinkPurpose) -> SecretHash {
    let hash = SecretHash(token_hash(n).0);
    let link = MailedLink { hash, purpose, user: user_id(owner), expires_at: at(600) };
    settled(db.links().store(link, None).await);
    hash
}

async fn act(db: &TestDatabase, task: u32) {
    for round in 0..ROUNDS {
        let n = 1_000 + task * ROUNDS + round;
        let owner = (task + round) % USERS + 1;
        let user = user_id(owner);
        match task % 6 {
            0 => {
                let turn = turn(n, owner);
                settled(db.turns().begin_turn(turn.clone()).await);
                settled(db.turns().finish_turn(finished(&turn, 2, None)).await);
            }
            1 => readdress(db, owner, n, false).await,
            2 => readdress(db, owner, n, true).await,
            3 => {
                let link = mailed(db, owner, n, LinkPurpose::VerifyEmail).await;
                settled(db.links().verify_email(link, user, NOW, entry()).await);
            }
            4 => {
                let link = mailed(db, owner, n, LinkPurpose::ResetPassword).await;
                let (password, at) = (password("hash"), NOW);
                let reset = PasswordReset { link, user, password, names: Vec::new(), at };
                settled(db.links().reset_password(reset, entry()).await);
            }
            _ => {
                let opened = session(n, owner);
                settled(db.sessions().open(opened.clone(), password("hash"), entry()).await);
                let (token, token_hash) = (token_id(n + 10_000), token_hash(n + 10_000));
                let next = LoginSession { token, token_hash, ..opened };
                settled(db.sessions().rotate(token_id(n), next, entry()).await);
            }
        }
    }
}

async fn whatever_changes_accounts_at_once_waits_for_nobody_for_ever(db: &TestDatabase) {
    with_admins(db, USERS).await;
    for n in 1..=USERS {
        db.conversations().insert(conversation(n, n), None).await.unwrap();
    }

    join_all((0..TASKS).map(|task| act(db, task))).await;

    assert_eq!(db.count("generations WHERE ended_at IS NULL").await, 0);
    for n in 1..=USERS {
        let found = db.conversations().find(user_id(n), conversation_id(n).into()).await.unwrap();
        assert!(found.is_some_and(|found| found.last_message_at.is_some()), "turns were stored");
    }
}
