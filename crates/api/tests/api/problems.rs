//! What every route has in common when something is wrong.

use actix_web::test::TestRequest;
use repartee_application::ports::PortError;

use crate::fixture::{Fixture, as_user};

const LIST: &str = "/api/v1/conversations";

#[actix_web::test]
async fn a_stranger_is_told_how_to_come_in() {
    let invalid = "Bearer error=\"invalid_token\"";
    for (token, challenge) in [
        (None, "Bearer"),
        (Some("Bearer bad"), invalid),
        (Some("bearer bad"), invalid),
        (Some("Basic good"), "Bearer"),
        (Some("Bearer"), "Bearer"),
    ] {
        let mut request = TestRequest::get().uri(LIST);
        if let Some(token) = token {
            request = request.insert_header(("authorization", token));
        }

        let answer = Fixture::default().answer(request).await;

        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(challenge)));
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.body["code"], "unauthenticated");
    }
}

#[actix_web::test]
async fn an_unknown_path_and_a_wrong_method_are_told_apart() {
    let answer = Fixture::default().answer(TestRequest::get().uri("/api/v1/tea")).await;
    assert_eq!((answer.status, answer.body["code"].as_str()), (404, Some("route_not_found")));

    let answer = Fixture::default().answer(TestRequest::delete().uri(LIST)).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, POST, HEAD, OPTIONS")));
}

#[actix_web::test]
async fn a_body_is_refused_for_its_size_its_type_and_its_syntax() {
    let post = || as_user(TestRequest::post().uri(LIST));
    let json = ("content-type", "application/json");
    let cases = [
        (post().insert_header(json).set_payload("{".repeat(1025)), 413, "body_too_large"),
        (
            post().insert_header(("content-type", "text/plain")).set_payload("{}"),
            415,
            "unsupported_media_type",
        ),
        (post().insert_header(json).set_payload("{"), 400, "malformed_json"),
        (post().insert_header(json).set_payload("{\"title\": 5}"), 422, "invalid_fields"),
    ];
    for (request, status, code) in cases {
        let answer = Fixture::default().answer(request).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (status, Some(code)));
        assert_eq!(answer.header("x-should-retry"), Some("false"));
    }
}

#[actix_web::test]
async fn the_request_id_is_the_clients_where_it_is_well_formed() {
    for (given, answered) in [
        (Some("my-request.1"), "my-request.1"),
        (Some("not well formed"), "00000000-0000-0000-0000-00000000004d"),
        (None, "00000000-0000-0000-0000-00000000004d"),
    ] {
        let mut request = TestRequest::get().uri("/api/v1/tea");
        if let Some(id) = given {
            request = request.insert_header(("x-request-id", id));
        }

        let answer = Fixture::default().answer(request).await;

        assert_eq!(answer.header("x-request-id"), Some(answered));
        assert_eq!(answer.body["request_id"], answered);
    }
}

#[actix_web::test]
async fn our_own_failure_shows_nothing_of_its_inside() {
    let mut fixture = Fixture::default();
    fixture
        .conversations
        .expect_list()
        .returning(|_, _, _| Err(PortError::Unavailable("SELECT secrets".into())));

    let answer = fixture.answer(as_user(TestRequest::get().uri(LIST))).await;

    assert_eq!((answer.status, answer.body["code"].as_str()), (503, Some("unavailable")));
    assert!(!answer.body.to_string().contains("SELECT"));
}

#[actix_web::test]
async fn a_foreign_page_is_let_in_only_where_it_is_listed() {
    for (origin, allowed) in [
        ("https://chat.example.com", Some("https://chat.example.com")),
        ("https://evil.example.com", None),
    ] {
        let request = TestRequest::get().uri("/health").insert_header(("origin", origin));
        let answer = Fixture::default().answer(request).await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed);
    }
}

#[actix_web::test]
async fn without_its_database_the_server_is_unhealthy_but_live() {
    for (path, status) in [("/health", 503), ("/health/ready", 503), ("/health/live", 200)] {
        let fixture = Fixture { is_database_away: true, ..Fixture::default() };
        assert_eq!(fixture.answer(TestRequest::get().uri(path)).await.status, status, "{path}");
    }
}

#[actix_web::test]
async fn every_response_has_the_security_headers() {
    let answer = Fixture::default().answer(TestRequest::get().uri("/")).await;

    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert!(answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
}

#[actix_web::test]
async fn a_body_is_not_read_deeper_than_it_is_safe() {
    let deep = format!("{{\"metadata\":{{\"a\":{}{}}}}}", "[".repeat(200), "]".repeat(200));
    let request = as_user(TestRequest::post().uri(LIST)).set_payload(deep);

    let answer = Fixture::default().answer(request).await;

    assert_eq!((answer.status, answer.body["code"].as_str()), (400, Some("malformed_json")));
}
