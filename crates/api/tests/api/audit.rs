//! The audit log over the wire.

use actix_web::test::TestRequest;
use repartee_application::{
    Page,
    audit::ChainHash,
    ports::{AuditFilter, AuditKey, PortError, RecordedEntry},
};
use repartee_domain::{
    accounts::Role,
    audit::{Action, AuditOutcome, Personal},
};
use serde_json::json;

use crate::fixture::{Fixture, NOW, USER, as_user};

const LOGS: &str = "/api/v1/audit-logs";

fn entry(id: i64) -> RecordedEntry {
    RecordedEntry {
        key: AuditKey { at: NOW, id },
        user: Some(USER),
        actor: "user".into(),
        action: "login".into(),
        resource: Some("login_session".into()),
        resource_id: Some("3".into()),
        outcome: "success".into(),
        details: r#"{"a":"b"}"#.into(),
        personal: Personal { ip_address: Some("192.0.2.7".into()), user_agent: None },
        request_id: Some("a-request".into()),
        sealed: Some((7, ChainHash([0xab; 32]))),
    }
}

/// An administrator, whose reading is told of.
fn administrator() -> Fixture {
    let mut fixture = Fixture { role: Some(Role::Admin), ..Fixture::default() };
    fixture
        .recorder
        .expect_record()
        .withf(|entry| entry.action == Action::AuditRead)
        .once()
        .returning(|_| Ok(()));
    fixture
}

#[actix_web::test]
async fn an_entry_is_shown_with_its_place_in_the_chain() {
    let mut fixture = administrator();
    fixture
        .audit
        .expect_list()
        .withf(|filter, page| *filter == AuditFilter::default() && page.limit == 20)
        .returning(|_, _| Ok(Page { items: vec![entry(1)], next: None }));

    let answer = fixture.answer(as_user(TestRequest::get().uri(LOGS))).await;

    assert_eq!(answer.status, 200);
    insta::assert_json_snapshot!(answer.body, @r#"
    {
      "data": [
        {
          "action": "login",
          "actor": "user",
          "at": "2027-01-15T08:00:00.123456Z",
          "details": {
            "a": "b"
          },
          "hash": "abababababababababababababababababababababababababababababababab",
          "id": 1,
          "ip_address": "192.0.2.7",
          "outcome": "success",
          "position": 7,
          "request_id": "a-request",
          "resource": {
            "id": "3",
            "type": "login_session"
          },
          "user_agent": null,
          "user_id": "00000000-0000-0000-0000-000000000001"
        }
      ],
      "next_cursor": null
    }
    "#);
}

#[actix_web::test]
async fn a_list_is_filtered_and_read_on() {
    let key = AuditKey { at: NOW, id: 9 };
    let mut fixture = administrator();
    fixture
        .audit
        .expect_list()
        .withf(|filter, _| {
            *filter
                == AuditFilter {
                    user: Some(USER),
                    action: Some(Action::AccessDenied),
                    outcome: Some(AuditOutcome::Denied),
                    from: Some(NOW),
                    to: None,
                }
        })
        .returning(move |_, _| Ok(Page { items: vec![], next: Some(key) }));
    let query = format!(
        "{LOGS}?user_id={USER}&action=access_denied&outcome=denied\
         &from=2027-01-15T09:00:00.123456%2B01:00&limit=1"
    );
    let answer = fixture.answer(as_user(TestRequest::get().uri(&query))).await;
    let cursor = answer.body["next_cursor"].as_str().unwrap().to_owned();

    let mut fixture = administrator();
    fixture
        .audit
        .expect_list()
        .withf(move |_, page| page.after == Some(key))
        .returning(|_, _| Ok(Page { items: vec![], next: None }));
    let uri = format!("{LOGS}?cursor={cursor}");
    let answer = fixture.answer(as_user(TestRequest::get().uri(&uri))).await;
    assert_eq!(answer.body, json!({"data": [], "next_cursor": null}));
}

#[actix_web::test]
async fn a_filter_that_means_nothing_is_refused_with_its_field() {
    for (query, field) in [
        ("user_id=me", "user_id"),
        ("action=tea", "action"),
        ("outcome=good", "outcome"),
        ("from=yesterday", "from"),
        ("to=2027-01-15", "to"),
        ("cursor=AAAA", "cursor"),
    ] {
        let fixture = Fixture { role: Some(Role::Admin), ..Fixture::default() };
        let request = TestRequest::get().uri(&format!("{LOGS}?{query}"));
        let answer = fixture.answer(as_user(request)).await;
        assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!(field)));
    }
}

#[actix_web::test]
async fn nobody_but_an_administrator_reads_it() {
    for role in [Role::User, Role::Manager] {
        for path in ["", "/verify", "/export"] {
            let fixture = Fixture { role: Some(role), ..Fixture::default() };
            let request = TestRequest::get().uri(&format!("{LOGS}{path}"));
            let answer = fixture.answer(as_user(request)).await;
            assert_eq!((answer.status, &answer.body["code"]), (403, &json!("forbidden")));
        }
    }
}

#[actix_web::test]
async fn an_export_has_a_line_for_each_entry_of_every_portion() {
    let key = AuditKey { at: NOW, id: 2 };
    let mut fixture = administrator();
    fixture.audit.expect_list().times(2).returning(move |_, page| {
        Ok(match page.after {
            None => Page { items: vec![entry(3), entry(2)], next: Some(key) },
            Some(_) => Page { items: vec![entry(1)], next: None },
        })
    });

    let request = TestRequest::get().uri("/api/v1/audit-logs/export");
    let (status, text) = fixture.text(as_user(request)).await;

    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<_> = lines.iter().map(|line| line["id"].as_i64().unwrap()).collect();
    assert_eq!((status, ids), (200, vec![3, 2, 1]));
    assert!(text.ends_with("}\n"));
}

#[actix_web::test]
async fn a_fault_is_shown_with_its_place() {
    let mut fixture = administrator();
    fixture.audit.expect_seal().returning(|_| Ok(0));
    fixture.audit.expect_last_anchor().returning(|| Ok(None));
    fixture.audit.expect_sealed().returning(|_, _| Err(PortError::Corrupt("no time".into())));
    let answer = fixture.answer(as_user(TestRequest::get().uri("/api/v1/audit-logs/verify"))).await;

    assert_eq!(
        answer.body,
        json!({
            "intact": false, "entries": 0, "head": null, "anchors": 0,
            "fault": {
                "position": 1, "code": "unreadable",
                "detail": "the entry cannot be read: it was edited",
            },
        })
    );

    let mut fixture = administrator();
    fixture.audit.expect_seal().returning(|_| Ok(0));
    fixture.audit.expect_sealed().returning(|_, _| Ok(Vec::new()));
    fixture.audit.expect_last_anchor().returning(|| Ok(None));
    let answer = fixture.answer(as_user(TestRequest::get().uri("/api/v1/audit-logs/verify"))).await;
    assert_eq!(answer.body["intact"], true);
}
