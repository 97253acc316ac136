//! OAuth over the wire.

use actix_web::test::TestRequest;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use crate::{
    api_keys::{secret, with_key},
    fixture::{Answer, Fixture},
};

const CLIENT: &str = "00000000-0000-0000-0000-000000000005";

fn form(path: &str, body: &str) -> TestRequest {
    let form = ("content-type", "application/x-www-form-urlencoded");
    TestRequest::post().uri(path).insert_header(form).set_payload(body.to_owned())
}

fn basic(request: TestRequest, secret: &str) -> TestRequest {
    let encoded = BASE64_STANDARD.encode(format!("{CLIENT}:{secret}"));
    request.insert_header(("authorization", format!("Basic {encoded}")))
}

fn with_recording_key(scopes: &str) -> Fixture {
    let mut fixture = with_key(scopes);
    fixture.api_keys.expect_record().returning(|_| Ok(()));
    fixture
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status, answer.body["error"].as_str()), (status, Some(error)));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let description = answer.body["error_description"].as_str().unwrap();
    // RFC 6749, 5.2
    let is_fit = |b: u8| (0x20..=0x7e).contains(&b) && b != b'"' && b != b'\\';
    assert!(!description.is_empty() && description.bytes().all(is_fit), "{description}");
    assert_eq!(answer.body.as_object().unwrap().len(), 2);
}

#[actix_web::test]
async fn a_client_gets_a_token_in_either_way() {
    let secret = secret();
    let grant = "grant_type=client_credentials&scope=read";
    let in_body = format!("{grant}&client_id={CLIENT}&client_secret={secret}");
    for request in [basic(form("/oauth/token", grant), &secret), form("/oauth/token", &in_body)] {
        let answer = with_recording_key("chat read").answer(request).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let expected = json!({
            "access_token": "an-access-token", "token_type": "Bearer", "expires_in": 1800,
            "scope": "read",
        });
        assert_eq!(answer.body, expected);
    }
}

#[actix_web::test]
async fn refusals_have_the_names_of_the_standard() {
    for (body, status, error) in [
        ("", 400, "invalid_request"),
        ("grant_type=", 400, "invalid_request"),
        ("grant_type=password&username=a&password=b", 400, "unsupported_grant_type"),
        ("grant_type=refresh_token", 400, "invalid_request"),
        ("grant_type=client_credentials", 401, "invalid_client"),
        ("grant_type=client_credentials&grant_type=client_credentials", 400, "invalid_request"),
        ("grant_type=client_credentials&client_id=a&client_secret=b", 401, "invalid_client"),
        ("grant_type=client_credentials&client_secret=b", 400, "invalid_request"),
    ] {
        let answer = Fixture::default().answer(form("/oauth/token", body)).await;
        assert_refused(&answer, status, error);
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge.is_some_and(|c| c.starts_with("Basic ")), status == 401, "{body}");
    }
    let scope = "grant_type=client_credentials&scope=analytics";
    let answer = with_key("chat").answer(basic(form("/oauth/token", scope), &secret())).await;
    assert_refused(&answer, 400, "invalid_scope");
    let json = TestRequest::post().uri("/oauth/token").set_json(json!({"grant_type": "x"}));
    assert_refused(&Fixture::default().answer(json).await, 400, "invalid_request");
}

#[actix_web::test]
async fn what_a_token_stands_for_is_told_to_whom_it_is() {
    let ask = |token: &str| form("/oauth/introspect", &format!("token={token}"));
    let answer = with_key("chat").answer(basic(ask("good"), &secret())).await;
    assert_eq!(answer.status, 200);
    insta::assert_json_snapshot!(answer.body, @r#"
    {
      "active": true,
      "exp": 1800001800,
      "iat": 1800000000,
      "iss": "repartee",
      "jti": "00000000-0000-0000-0000-000000000009",
      "sub": "00000000-0000-0000-0000-000000000001",
      "token_type": "Bearer"
    }
    "#);

    let bearer = ask(&secret()).insert_header(("authorization", "Bearer good"));
    let answer = with_key("chat").answer(bearer).await;
    assert_eq!(
        (&answer.body["scope"], &answer.body["client_id"]),
        (&json!("chat"), &json!(CLIENT))
    );

    assert_refused(&Fixture::default().answer(ask("good")).await, 401, "invalid_client");
    let bearer = ask("good").insert_header(("authorization", "Bearer bad"));
    let answer = Fixture::default().answer(bearer).await;
    assert_eq!((answer.status, answer.body["code"].as_str()), (401, Some("unauthenticated")));
}

#[actix_web::test]
async fn a_client_reads_where_everything_is() {
    let path = "/.well-known/oauth-authorization-server";
    let request = TestRequest::get().uri(path).insert_header(("host", "chat.example:8080"));
    let answer = Fixture::default().answer(request).await;
    assert_eq!(answer.body["issuer"], "http://chat.example:8080");
    assert_eq!(answer.body["token_endpoint"], "http://chat.example:8080/oauth/token");
    let grants = json!(["refresh_token", "client_credentials"]);
    assert_eq!(answer.body["grant_types_supported"], grants);
}

#[actix_web::test]
async fn where_everything_is_does_not_depend_on_the_request_where_it_is_configured() {
    let path = "/.well-known/oauth-authorization-server";
    let request = TestRequest::get()
        .uri(path)
        .insert_header(("host", "evil.example"))
        .insert_header(("x-forwarded-host", "evil.example"))
        .insert_header(("x-forwarded-proto", "http"));
    let public_url = Some("https://example.com/chat".into());
    let answer = Fixture { public_url, ..Fixture::default() }.answer(request).await;
    assert_eq!(answer.body["issuer"], "https://example.com/chat");
    assert_eq!(answer.body["token_endpoint"], "https://example.com/chat/oauth/token");
    assert!(!answer.body.to_string().contains("evil"), "{}", answer.body);
}

#[actix_web::test]
async fn the_public_keys_are_for_everybody() {
    let answer = Fixture::default().answer(TestRequest::get().uri("/.well-known/jwks.json")).await;
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    insta::assert_json_snapshot!(answer.body, @r#"
    {
      "keys": [
        {
          "alg": "EdDSA",
          "crv": "Ed25519",
          "kid": "a-key",
          "kty": "OKP",
          "use": "sig",
          "x": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"
        }
      ]
    }
    "#);
}
