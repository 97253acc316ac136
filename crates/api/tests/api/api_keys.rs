//! Keys for programs over the wire.

use std::sync::Arc;

use actix_web::test::TestRequest;
use repartee_application::ports::{GoodKey, KeyInserted};
use repartee_domain::{
    ApiKeyId,
    accounts::{ApiKey, NewApiKey, Role},
};
use serde_json::json;
use uuid::Uuid;

use crate::fixture::{Fixture, NOW, USER, as_user};

const PATH: &str = "/api/v1/api-keys";

/// What is answered to requests with the secret of a key that has these scopes.
pub(crate) fn with_key(scopes: &str) -> Fixture {
    let scopes = Some(scopes.split(' ').map(Into::into).collect());
    let wish = NewApiKey { name: "a script".into(), scopes, ..NewApiKey::default() };
    let id = ApiKeyId::from_uuid(Uuid::from_u128(5));
    let key = ApiKey::make(id, USER, &secret(), wish, NOW).unwrap();
    let good = GoodKey { key: Arc::new(key), role: Role::User };
    let mut fixture = Fixture::default();
    fixture.api_keys.expect_find_good().returning(move |_, _| Ok(Some(good.clone())));
    fixture.api_keys.expect_note_use().returning(|_, _, _| ());
    fixture
}

pub(crate) fn secret() -> String {
    format!("rpt_{}", "s".repeat(43))
}

fn as_program(request: TestRequest) -> TestRequest {
    request.insert_header(("authorization", format!("Bearer {}", secret())))
}

#[actix_web::test]
async fn a_key_is_shown_whole_once() {
    let mut fixture = Fixture::default();
    fixture.api_keys.expect_insert().returning(|_, _, _, _, _| Ok(KeyInserted::Done));
    let body = json!({
        "name": "a script", "scopes": ["read", "chat"], "models": ["small"],
        "expires_at": "2027-02-01T00:00:00+01:00", "requests_per_minute": 5,
        "monthly_token_budget": 1000
    });

    let answer = fixture.answer(as_user(TestRequest::post().uri(PATH).set_json(body))).await;

    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    insta::assert_json_snapshot!(answer.body, @r#"
    {
      "created_at": "2027-01-15T08:00:00.123456Z",
      "expires_at": "2027-01-31T23:00:00.000000Z",
      "id": "00000000-0000-0000-0000-00000000004d",
      "last_used_at": null,
      "models": [
        "small"
      ],
      "monthly_token_budget": 1000,
      "name": "a script",
      "prefix": "rpt_AAAAAAAA",
      "requests_per_minute": 5,
      "revoked_at": null,
      "scopes": [
        "chat",
        "read"
      ],
      "secret": "rpt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    }
    "#);
}

#[actix_web::test]
async fn a_key_that_cannot_be_is_refused() {
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": "a", "scopes": ["everything"]}), "scopes"),
        (json!({"name": "a", "scopes": []}), "scopes"),
        (json!({"name": "a", "models": []}), "models"),
        (json!({"name": "a", "expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
        (json!({"name": "a", "expires_at": "tomorrow"}), "expires_at"),
        (json!({"name": "a", "requests_per_minute": -1}), "requests_per_minute"),
        (json!({"name": "a", "requests_per_minute": 0}), "requests_per_minute"),
        (json!({"name": "a", "monthly_token_budget": 1.5}), "monthly_token_budget"),
    ] {
        let request = as_user(TestRequest::post().uri(PATH).set_json(&body));
        let answer = Fixture::default().answer(request).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (422, Some("invalid_fields")));
        assert_eq!(answer.body["errors"][0]["field"], field, "{body}");
    }
}

#[actix_web::test]
async fn a_key_opens_what_its_scopes_say() {
    let read = || TestRequest::get().uri("/api/v1/conversations");
    let mut fixture = with_key("read");
    fixture
        .conversations
        .expect_list()
        .returning(|_, _, _| Ok(repartee_application::Page { items: Vec::new(), next: None }));
    assert_eq!(fixture.answer(as_program(read())).await.status, 200);

    let write = TestRequest::post().uri("/api/v1/conversations").set_json(json!({}));
    for (scopes, request, scope) in [("files", read(), "read"), ("read", write, "chat")] {
        let answer = with_key(scopes).answer(as_program(request)).await;
        assert_eq!(
            (answer.status, answer.body["code"].as_str()),
            (403, Some("insufficient_scope"))
        );
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
        assert_eq!(answer.header("www-authenticate"), Some(&*challenge));
    }
}

#[actix_web::test]
async fn a_key_manages_no_account() {
    let all = "chat read files audio knowledge analytics";
    for request in [
        TestRequest::get().uri(PATH),
        TestRequest::post().uri(PATH).set_json(json!({"name": "another"})),
        TestRequest::delete().uri(&format!("{PATH}/00000000-0000-0000-0000-000000000005")),
        TestRequest::post().uri("/api/v1/auth/logout").set_json(json!({})),
        TestRequest::post().uri("/api/v1/auth/ticket"),
        TestRequest::patch().uri("/api/v1/users/me").set_json(json!({"first_name": "Eve"})),
    ] {
        let answer = with_key(all).answer(as_program(request)).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (403, Some("not_for_keys")));
    }
}
