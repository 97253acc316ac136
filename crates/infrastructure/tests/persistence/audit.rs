//! The contracts of `AuditRecorder` and `AuditLog`.

use futures::future::join_all;
use repartee_application::{
    PageRequest,
    audit::Head,
    ports::{Anchor, AuditFilter, AuditLog, AuditRecorder, RecordedEntry},
};
use repartee_domain::audit::{Action, AuditActor, AuditEntry, AuditOutcome, Personal};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{NOW, at, user_id},
};

on_both_databases!(
    an_entry_is_read_as_it_was_recorded,
    what_is_personal_goes_with_its_key,
    an_entry_about_somebody_who_is_gone_has_nothing_personal,
    a_list_is_read_page_by_page,
    a_list_is_filtered,
    entries_are_sealed_in_the_order_of_their_ids,
    many_who_seal_make_one_chain,
    a_day_has_one_anchor,
);

/// Something that a user did, at an instant of its own.
pub(crate) fn did(user: u32, action: Action, seconds: i64) -> AuditEntry {
    let personal = Personal {
        ip_address: Some("192.0.2.7".into()),
        user_agent: Some("Browser/1.0 (🙂)".into()),
    };
    AuditEntry {
        personal,
        request_id: Some(format!("request-{seconds}")),
        ..AuditEntry::new(AuditActor::User(user_id(user)), action, at(seconds))
    }
}

pub(crate) async fn recorded(db: &TestDatabase, entries: impl IntoIterator<Item = AuditEntry>) {
    for entry in entries {
        db.audit_recorder().record(entry).await.unwrap();
    }
}

/// All that a filter lets through, newest first.
async fn read(db: &TestDatabase, filter: AuditFilter) -> Vec<RecordedEntry> {
    let page = PageRequest { limit: 100, after: None };
    db.audit_log().list(filter, page).await.unwrap().items
}

fn of(user: u32) -> AuditFilter {
    AuditFilter { user: Some(user_id(user)), ..AuditFilter::default() }
}

async fn an_entry_is_read_as_it_was_recorded(db: &TestDatabase) {
    db.with_user(1).await;
    let entry = did(1, Action::LoggedOut, 1)
        .on("login_session", "abc")
        .with("reason", "asked \"nicely\"")
        .outcome(AuditOutcome::Failure);
    recorded(db, [entry.clone()]).await;
    let stranger = AuditEntry {
        personal: Personal { ip_address: Some("2001:db8::1".into()), user_agent: None },
        ..AuditEntry::new(AuditActor::Nobody, Action::LogInFailed, at(2))
    };
    recorded(db, [stranger.clone()]).await;

    let entries = read(db, AuditFilter::default()).await;

    let first = &entries[0];
    assert_eq!((first.user, first.actor.as_str()), (None, "nobody"));
    assert_eq!(first.personal, stranger.personal);
    let second = &entries[1];
    assert_eq!((second.user, second.actor.as_str()), (Some(user_id(1)), "user"));
    assert_eq!((second.action.as_str(), second.outcome.as_str()), ("logout", "failure"));
    assert_eq!(second.resource.as_deref(), Some("login_session"));
    assert_eq!(second.resource_id.as_deref(), Some("abc"));
    assert_eq!(second.details, r#"{"reason":"asked \"nicely\""}"#);
    assert_eq!(second.personal, entry.personal);
    assert_eq!(second.request_id.as_deref(), Some("request-1"));
    assert_eq!((second.key.at, second.sealed), (at(1), None));
}

async fn what_is_personal_goes_with_its_key(db: &TestDatabase) {
    for n in [1, 2] {
        db.with_user(n).await;
        recorded(db, [did(n, Action::LoggedIn, n.into())]).await;
    }
    // One key for all of somebody's entries.
    recorded(db, [did(1, Action::LoggedOut, 3)]).await;
    assert_eq!(db.count("subject_keys").await, 2);
    let in_plain = "audit_logs WHERE ip_address IS NOT NULL";
    assert_eq!(db.count(in_plain).await, 0);

    db.execute("DELETE FROM users WHERE email = 'user1@example.com'").await;

    assert_eq!(db.count("subject_keys").await, 1);
    for entry in read(db, of(1)).await {
        assert_eq!(entry.personal, Personal::default());
    }
    assert!(read(db, of(2)).await[0].personal.ip_address.is_some());
}

async fn an_entry_about_somebody_who_is_gone_has_nothing_personal(db: &TestDatabase) {
    recorded(db, [did(9, Action::AccessDenied, 1)]).await;

    let entries = read(db, of(9)).await;

    assert_eq!((entries.len(), &entries[0].personal), (1, &Personal::default()));
}

async fn a_list_is_read_page_by_page(db: &TestDatabase) {
    // Five at each of three instants: the id decides among those.
    for n in 0..15 {
        let entry = AuditEntry::new(AuditActor::System, Action::Started, at(n / 5));
        recorded(db, [entry.with("n", n.to_string())]).await;
    }
    let log = db.audit_log();
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest { limit: 4, after };
        let page = log.list(AuditFilter::default(), page).await.unwrap();
        read.extend(page.items.into_iter().map(|entry| entry.details));
        after = page.next;
        if after.is_none() {
            break;
        }
    }

    let newest_first: Vec<_> = (0..15).rev().map(|n| format!("{{\"n\":\"{n}\"}}")).collect();
    assert_eq!(read, newest_first);
}

async fn a_list_is_filtered(db: &TestDatabase) {
    recorded(
        db,
        [
            did(1, Action::LoggedIn, 1),
            did(1, Action::LoggedOut, 2),
            did(2, Action::LoggedIn, 3),
            did(2, Action::AccessDenied, 4).outcome(AuditOutcome::Denied),
        ],
    )
    .await;
    let any = AuditFilter::default;
    for (filter, seconds) in [
        (any(), &[4, 3, 2, 1][..]),
        (of(1), &[2, 1]),
        (AuditFilter { action: Some(Action::LoggedIn), ..any() }, &[3, 1]),
        (AuditFilter { outcome: Some(AuditOutcome::Denied), ..any() }, &[4]),
        (AuditFilter { from: Some(at(2)), to: Some(at(4)), ..any() }, &[3, 2]),
        (AuditFilter { action: Some(Action::LoggedIn), from: Some(at(2)), ..of(2) }, &[3]),
        (AuditFilter { action: Some(Action::KeyMade), ..any() }, &[]),
    ] {
        let read = read(db, filter.clone()).await;
        let read: Vec<_> = read.iter().map(|entry| (entry.key.at - NOW).num_seconds()).collect();
        assert_eq!(read, seconds, "{filter:?}");
    }
}

async fn entries_are_sealed_in_the_order_of_their_ids(db: &TestDatabase) {
    let log = db.audit_log();
    assert_eq!((log.seal(10).await.unwrap(), log.head().await.unwrap()), (0, Head::START));
    recorded(db, (0..5).map(|n| did(1, Action::LoggedIn, -n))).await;

    assert_eq!(log.seal(3).await.unwrap(), 3);
    assert_eq!(log.seal(3).await.unwrap(), 2);
    assert_eq!(log.seal(3).await.unwrap(), 0);

    let sealed = log.sealed(0, 100).await.unwrap();
    let mut head = Head::START;
    for (sealed, seconds) in sealed.iter().zip([0, -1, -2, -3, -4]) {
        assert_eq!((sealed.previous, sealed.entry.at), (Some(head.hash), at(seconds)));
        head = head.then(&sealed.entry);
        assert_eq!((sealed.position, sealed.hash), (head.position, Some(head.hash)));
    }
    assert_eq!(log.head().await.unwrap(), head);
    assert_eq!((sealed.len(), log.sealed(3, 1).await.unwrap()[0].position), (5, 4));
    let read = read(db, AuditFilter::default()).await;
    assert_eq!(read.last().unwrap().sealed, Some((head.position, head.hash)));
}

async fn many_who_seal_make_one_chain(db: &TestDatabase) {
    let logs: Vec<_> = (0..6).map(|_| db.audit_log()).collect();
    let sealing = join_all(logs.iter().map(async |log| {
        let mut sealed = 0;
        for _ in 0..20 {
            sealed += log.seal(3).await.unwrap();
        }
        sealed
    }));
    let entries = (0..60).map(|n| did(1, Action::LoggedIn, n));
    let (sealed, ()) = futures::join!(sealing, recorded(db, entries));
    let mut sealed = sealed.into_iter().sum::<u64>();
    let log = db.audit_log();
    loop {
        match log.seal(100).await.unwrap() {
            0 => break,
            more => sealed += more,
        }
    }

    assert_eq!((sealed, log.head().await.unwrap().position), (60, 60));
    let positions = log.sealed(0, 100).await.unwrap();
    assert!(positions.iter().map(|sealed| sealed.position).eq(1..=60));
}

async fn a_day_has_one_anchor(db: &TestDatabase) {
    let log = db.audit_log();
    assert_eq!(log.last_anchor().await.unwrap(), None);
    recorded(db, (0..3).map(|n| did(1, Action::LoggedIn, n))).await;
    log.seal(3).await.unwrap();
    let head = log.head().await.unwrap();
    let anchor = |days: i64| {
        let at = at(days * 86_400);
        Anchor {
            day: at.date_naive(),
            head: Head { position: 3 + days.unsigned_abs(), ..head },
            at,
        }
    };

    for days in [0, 1, 0] {
        log.keep_anchor(anchor(days)).await.unwrap();
    }
    log.keep_anchor(Anchor { head: Head::START, ..anchor(1) }).await.unwrap();

    assert_eq!(log.last_anchor().await.unwrap(), Some(anchor(1)));
    assert_eq!(log.anchors(1, 3).await.unwrap(), [anchor(0)]);
    assert_eq!(log.anchors(3, 4).await.unwrap(), [anchor(0), anchor(1)]);
    assert_eq!(log.anchors(5, 9).await.unwrap(), []);
}
