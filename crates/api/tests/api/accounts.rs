//! Identity over the wire.

use actix_web::test::TestRequest;
use repartee_application::ports::PasswordHash;
use serde_json::json;

use crate::fixture::Fixture;

#[actix_web::test]
async fn registering_answers_the_user_and_a_pair_of_tokens() {
    let mut fixture = Fixture::default();
    fixture.hasher.expect_hash().returning(|_| Ok(PasswordHash("hash".into())));
    fixture.users.expect_register().returning(|_, _, _| Ok(()));
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
