//! One's own profile.

use repartee_tests::server::{Answer, Setup};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{list, on_both_databases, register, somebody, text};

const ME: &str = "/api/v1/users/me";

on_both_databases!(
    null_empties_a_field_and_absence_leaves_it,
    a_stale_write_is_refused,
    a_taken_or_impossible_name_is_refused,
    preferences_come_back_as_they_were,
);

async fn null_empties_a_field_and_absence_leaves_it(setup: Setup) {
    let server = setup.start().await;
    let registered = register(&server, "ada").await;
    let ada = server.client().with_token(text(&registered["access_token"]));
    let code = text(&registered["user"]["code"]);
    assert!(code.len() == 16 && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()));

    let full = json!({"first_name": "Augusta", "last_name": "King", "language": "en-GB"});
    let changed = ada.patch(ME, &full).await.expect(200);
    assert_eq!(changed["first_name"], "Augusta");
    assert_eq!(changed["username"], "ada");

    // PUT changes the fields that it names, as PATCH does.
    for method in [Method::PATCH, Method::PUT] {
        let request = ada.request(method, ME).json(&json!({"last_name": null, "unknown": 1}));
        let changed = Answer::to(request).await.expect(200);
        assert_eq!(changed["first_name"], "Augusta");
        assert_eq!(changed["last_name"], Value::Null);
        assert_eq!(changed["language"], "en-GB");
        let back = ada.put(ME, &json!({"last_name": "King"})).await.expect(200);
        assert_eq!(back["last_name"], "King");
    }

    let cleared = ada.patch(ME, &json!({"username": null})).await.expect(200);
    assert_eq!(cleared["username"], Value::Null);
    assert_eq!(ada.get(ME).await.expect(200), cleared);
}

async fn a_stale_write_is_refused(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let write = async |tag: &str, name: &str| {
        let request = ada.request(Method::PATCH, ME).header("If-Match", tag);
        Answer::to(request.json(&json!({"first_name": name}))).await
    };
    let tag = ada.get(ME).await.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag} is no strong entity tag");

    let written = write(&tag, "Augusta").await;
    written.expect(200);
    assert_ne!(written.header("etag"), tag);
    for stale in [&*tag, "\"nonsense\"", "nonsense"] {
        write(stale, "Lost").await.problem(412, "version_mismatch");
    }
    write("*", "Ada").await.expect(200);
    assert_eq!(ada.get(ME).await.expect(200)["first_name"], "Ada");
}

async fn a_taken_or_impossible_name_is_refused(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    somebody(&server, "grace").await;
    ada.patch(ME, &json!({"username": "Grace"})).await.problem(409, "username_taken");
    for (field, value) in [
        ("username", json!("")),
        ("username", json!("a@b")),
        ("username", json!("x".repeat(65))),
        ("first_name", json!("nul\u{0}")),
        ("last_name", json!(5)),
        ("language", json!("??")),
        ("preferences", json!([])),
        ("preferences", json!({"k": "x".repeat(20_000)})),
        ("preferences", json!({"k": "nul\u{0}"})),
    ] {
        let answer = ada.patch(ME, &json!({field: value})).await;
        let problem = answer.problem(422, "invalid_fields");
        assert_eq!(list(&problem["errors"])[0]["field"], field, "{problem}");
    }
    let me = ada.get(ME).await.expect(200);
    assert_eq!((&me["username"], &me["first_name"]), (&json!("ada"), &Value::Null));
}

async fn preferences_come_back_as_they_were(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let preferences = json!({"theme": "dark", "ภาษา": ["ไทย", {"🦀": 1.5}], "none": null});
    ada.patch(ME, &json!({"preferences": preferences})).await.expect(200);
    assert_eq!(ada.get(ME).await.expect(200)["preferences"], preferences);
    ada.patch(ME, &json!({"preferences": null})).await.expect(200);
    assert_eq!(ada.get(ME).await.expect(200)["preferences"], Value::Null);
}
