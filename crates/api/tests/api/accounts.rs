//! Identity over the wire.

use actix_web::test::TestRequest;
use chrono::TimeDelta;
use repartee_application::{
    Page,
    ports::{LoginFailures, PasswordHash},
};
use repartee_domain::{
    UserId, Version,
    accounts::{Email, Profile, Role, User},
};
use serde_json::json;
use uuid::Uuid;

use crate::fixture::{Fixture, NOW, as_user};

#[actix_web::test]
async fn registering_answers_the_user_and_a_pair_of_tokens() {
    let mut fixture = Fixture::default();
    fixture.hasher.expect_hash().returning(|_| Ok(PasswordHash("hash".into())));
    fixture.users.expect_register().returning(|_, _, _, _| Ok(()));
    let body = json!({
        "email": "Ada@Example.com", "password": "analytical1", "username": "ada",
        "a_field_of_tomorrow": true
    });

    let answer =
        fixture.answer(TestRequest::post().uri("/api/v1/auth/register").set_json(body)).await;

    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    insta::assert_json_snapshot!(answer.body, @r#"
    {
      "access_token": "an-access-token",
      "expires_in": 1800,
      "refresh_token": "0000000000000000000000000000000000000000000000000000000000000000",
      "token_type": "bearer",
      "user": {
        "code": "AAAAAAAAAAAAAAAA",
        "created_at": "2027-01-15T08:00:00.123456Z",
        "email": "ada@example.com",
        "first_name": null,
        "id": "00000000-0000-0000-0000-00000000004d",
        "is_active": true,
        "is_email_verified": false,
        "language": null,
        "last_login_at": "2027-01-15T08:00:00.123456Z",
        "last_name": null,
        "preferences": null,
        "role": "user",
        "updated_at": "2027-01-15T08:00:00.123456Z",
        "username": "ada"
      }
    }
    "#);
}

#[actix_web::test]
async fn everything_that_is_wrong_with_an_account_is_told_at_once() {
    let body = json!({"email": "nowhere", "password": "x", "language": "?"});

    let answer = Fixture::default()
        .answer(TestRequest::post().uri("/api/v1/auth/register").set_json(body))
        .await;

    assert_eq!(answer.status, 422);
    insta::assert_json_snapshot!(answer.body, @r#"
    {
      "code": "invalid_fields",
      "detail": "the request has invalid fields",
      "errors": [
        {
          "code": "invalid",
          "detail": "must be an e-mail address, like ada@example.com",
          "field": "email"
        },
        {
          "code": "invalid",
          "detail": "must be a language tag, like en or pt-BR",
          "field": "language"
        },
        {
          "code": "too_short",
          "detail": "must have at least 8 characters",
          "field": "password"
        }
      ],
      "request_id": "00000000-0000-0000-0000-00000000004d",
      "status": 422,
      "title": "Unprocessable Entity",
      "type": "/problems/invalid_fields"
    }
    "#);
}

#[actix_web::test]
async fn a_name_that_has_to_wait_is_told_how_long() {
    let mut fixture = Fixture::default();
    let wait_until = Some(NOW + TimeDelta::milliseconds(7_500));
    fixture
        .failures
        .expect_find()
        .returning(move |_| Ok(Some(LoginFailures { failures: 8, wait_until })));
    let body = json!({"email": "ada@example.com", "password": "analytical1"});

    let answer = fixture.answer(TestRequest::post().uri("/api/v1/auth/login").set_json(body)).await;

    assert_eq!((answer.status, answer.body["code"].as_str()), (429, Some("too_many_failures")));
    assert_eq!(answer.header("retry-after"), Some("8"));
    assert_eq!(answer.header("x-should-retry"), None);
}

#[actix_web::test]
async fn a_forgotten_password_is_answered_alike_for_every_address() {
    for address in ["ada@example.com", "no address", ""] {
        let request = TestRequest::post().uri("/api/v1/auth/password/forgot");
        let answer = Fixture::default().answer(request.set_json(json!({"email": address}))).await;
        assert_eq!((answer.status, answer.body), (202, json!({"detail": "look into your mail"})));
    }
}

fn grace() -> User {
    User {
        id: UserId::from_uuid(Uuid::from_u128(50)),
        code: "GRACEGRACEGRACE1".parse().unwrap(),
        email: Email::parse("grace@example.com").unwrap(),
        role: Role::Manager,
        is_active: true,
        profile: Profile::default(),
        email_verified_at: None,
        last_login_at: None,
        created_at: NOW,
        updated_at: NOW,
        version: Version::FIRST,
    }
}

#[actix_web::test]
async fn a_manager_reads_the_list_of_users() {
    let mut fixture = Fixture { role: Some(Role::Manager), ..Fixture::default() };
    fixture
        .directory
        .expect_list()
        .withf(|filter, page| {
            filter.prefix.as_deref() == Some("gr\u{e9}")
                && filter.role == Some(Role::Manager)
                && filter.is_active == Some(true)
                && page.limit == 1
        })
        .returning(|_, _| Ok(Page { items: vec![grace()], next: Some(grace().id) }));
    let uri = "/api/v1/users?q=%20Gr%C3%89&role=manager&is_active=true&limit=1";

    let answer = fixture.answer(as_user(TestRequest::get().uri(uri))).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["data"][0]["email"], "grace@example.com");
    assert!(answer.body["next_cursor"].is_string());
}

#[actix_web::test]
async fn a_filter_that_cannot_be_is_refused() {
    for (query, field) in [("role=guest", "role"), ("is_active=maybe", "is_active"), ("q=%00", "q")]
    {
        let fixture = Fixture { role: Some(Role::Admin), ..Fixture::default() };
        let request = TestRequest::get().uri(&format!("/api/v1/users?{query}"));
        let answer = fixture.answer(as_user(request)).await;
        assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!(field)));
    }
}

#[actix_web::test]
async fn nobody_is_made_a_guest() {
    let mut fixture = Fixture { role: Some(Role::Admin), ..Fixture::default() };
    fixture.directory.expect_find().returning(|_| Ok(Some(grace())));
    let request = TestRequest::patch().uri("/api/v1/users/GRACEGRACEGRACE1");

    let answer = fixture.answer(as_user(request.set_json(json!({"role": "guest"})))).await;

    assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!("role")));
}
