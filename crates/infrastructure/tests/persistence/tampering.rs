//! Whoever can write to the database, and what is found of what they did.

use std::sync::Arc;

use repartee_application::{
    Actor, Credential, Origin,
    audit::{AuditService, Fault, FaultKind},
    ports::{Anchor, AuditLog, PortError},
};
use repartee_domain::{accounts::Role, audit::Action};
use repartee_infrastructure::system::SystemClock;

use crate::{
    audit::{did, recorded},
    databases::{TestDatabase, on_both_databases},
    fixtures::{NOW, session_id, user_id},
};

on_both_databases!(
    what_was_left_alone_holds_also_after_an_erasure,
    every_edit_is_found,
    a_deletion_is_found,
    an_insertion_is_found,
    another_order_is_found,
    a_cut_tail_is_found_by_the_anchor,
    an_anchor_that_was_moved_is_found,
    a_place_that_no_entry_could_have_is_found,
    a_chain_that_cannot_be_sealed_upon_is_verified,
);

fn service(db: &TestDatabase) -> AuditService {
    let (log, recorder) = (Arc::new(db.audit_log()), Arc::new(db.audit_recorder()));
    AuditService::new(log, recorder, Arc::new(SystemClock))
}

/// More than a portion, sealed and anchored.
async fn with_history(db: &TestDatabase) {
    db.with_user(1).await;
    recorded(db, (0..119).map(|n| did(1, Action::LoggedIn, n).on("login_session", n))).await;
    let log = db.audit_log();
    while log.seal(100).await.unwrap() > 0 {}
    let head = log.head().await.unwrap();
    assert_eq!(head.position, 120, "with the registration");
    log.keep_anchor(Anchor { day: NOW.date_naive(), head, at: NOW }).await.unwrap();
}

/// Looking is an entry of its own, which stands at the end.
async fn fault(db: &TestDatabase) -> Option<(u64, FaultKind)> {
    let admin = Actor {
        user: user_id(1),
        role: Role::Admin,
        credential: Credential::Session(session_id(1)),
        origin: Origin::default(),
    };
    let found = service(db).verify(&admin).await.unwrap();
    found.fault.map(|Fault { position, kind }| (position, kind))
}

async fn what_was_left_alone_holds_also_after_an_erasure(db: &TestDatabase) {
    with_history(db).await;
    assert_eq!(fault(db).await, None);

    db.execute("DELETE FROM users").await;

    assert_eq!(fault(db).await, None);
}

async fn every_edit_is_found(db: &TestDatabase) {
    with_history(db).await;
    for (edit, kind) in [
        ("user_id = NULL", FaultKind::Altered),
        ("actor = 'system'", FaultKind::Altered),
        ("action = 'logout'", FaultKind::Altered),
        ("resource = NULL", FaultKind::Altered),
        ("resource_id = '99'", FaultKind::Altered),
        ("outcome = 'failure'", FaultKind::Altered),
        ("details = '{\"a\":1}'", FaultKind::Altered),
        ("ip_address = '192.0.2.8'", FaultKind::Altered),
        ("personal = NULL", FaultKind::Altered),
        ("request_id = NULL", FaultKind::Altered),
        ("at = created", FaultKind::Altered),
        ("id = 9999", FaultKind::Altered),
        ("hash = NULL", FaultKind::Altered),
        ("hash = previous_hash", FaultKind::Altered),
        ("previous_hash = hash", FaultKind::Unlinked),
    ] {
        let edit = edit.replace("created", "(SELECT MAX(at) FROM audit_logs)");
        run(db, "CREATE TABLE kept AS SELECT * FROM audit_logs WHERE position = 110").await;
        run(db, &format!("UPDATE audit_logs SET {edit} WHERE position = 110")).await;

        assert_eq!(fault(db).await, Some((110, kind)), "{edit}");

        run(db, "DELETE FROM audit_logs WHERE position = 110").await;
        run(db, "INSERT INTO audit_logs SELECT * FROM kept").await;
        run(db, "DROP TABLE kept").await;
        assert_eq!(fault(db).await, None, "{edit}");
    }
}

async fn a_deletion_is_found(db: &TestDatabase) {
    with_history(db).await;

    run(db, "DELETE FROM audit_logs WHERE position = 57").await;
    assert_eq!(fault(db).await, Some((57, FaultKind::Missing)));

    run(db, "DELETE FROM audit_logs WHERE position = 1").await;
    assert_eq!(fault(db).await, Some((1, FaultKind::Missing)));
}

async fn an_insertion_is_found(db: &TestDatabase) {
    with_history(db).await;

    // From the end on, for no two may stand at one place.
    for position in (31..=120).rev() {
        let moved = position + 1;
        run(db, &format!("UPDATE audit_logs SET position = {moved} WHERE position = {position}"))
            .await;
    }
    run(
        db,
        "INSERT INTO audit_logs (id, actor, action, outcome, details, at, position, previous_hash, hash) \
         SELECT 9999, 'system', 'role_changed', 'success', '{}', at, 31, previous_hash, hash \
         FROM audit_logs WHERE position = 32",
    )
    .await;

    assert_eq!(fault(db).await, Some((31, FaultKind::Altered)));
}

async fn another_order_is_found(db: &TestDatabase) {
    with_history(db).await;
    for (from, to) in [(7, -1), (8, 7), (-1, 8)] {
        run(db, &format!("UPDATE audit_logs SET position = {to} WHERE position = {from}")).await;
    }
    assert_eq!(fault(db).await, Some((7, FaultKind::Unlinked)));

    run(
        db,
        "UPDATE audit_logs SET previous_hash = (SELECT hash FROM audit_logs WHERE position = 6) \
         WHERE position = 7",
    )
    .await;
    assert_eq!(fault(db).await, Some((7, FaultKind::Altered)));
}

async fn a_cut_tail_is_found_by_the_anchor(db: &TestDatabase) {
    with_history(db).await;

    run(db, "DELETE FROM audit_logs WHERE position > 100").await;

    // What happened since stands in the place of what was cut off; looking does, at 101.
    assert_eq!(fault(db).await, Some((102, FaultKind::Cut)));
    recorded(db, (0..30).map(|n| did(1, Action::LoggedIn, n))).await;
    assert_eq!(fault(db).await, Some((120, FaultKind::Unanchored)));
}

async fn an_anchor_that_was_moved_is_found(db: &TestDatabase) {
    with_history(db).await;

    run(db, "UPDATE audit_anchors SET position = 119").await;

    assert_eq!(fault(db).await, Some((119, FaultKind::Unanchored)));
}

async fn a_place_that_no_entry_could_have_is_found(db: &TestDatabase) {
    with_history(db).await;
    for (place, kind) in [(0, FaultKind::Missing), (-7, FaultKind::Unreadable)] {
        run(
            db,
            &format!(
                "INSERT INTO audit_logs (id, actor, action, outcome, details, at, position) \
                 SELECT 9999, actor, action, outcome, details, at, {place} \
                 FROM audit_logs WHERE position = 1"
            ),
        )
        .await;

        assert_eq!(fault(db).await, Some((1, kind)), "{place}");

        run(db, "DELETE FROM audit_logs WHERE id = 9999").await;
        assert_eq!(fault(db).await, None, "{place}");
    }
}

async fn a_chain_that_cannot_be_sealed_upon_is_verified(db: &TestDatabase) {
    with_history(db).await;

    run(db, "UPDATE audit_logs SET position = -position").await;

    assert!(matches!(db.audit_log().seal(1).await, Ok(0)), "nothing is left to be sealed");
    recorded(db, [did(1, Action::LoggedOut, 1)]).await;
    assert!(matches!(db.audit_log().seal(1).await, Err(PortError::Corrupt(_))));
    assert_eq!(fault(db).await, Some((1, FaultKind::Unreadable)));
}

async fn run(db: &TestDatabase, sql: &str) {
    db.execute(sql.to_owned()).await;
}
