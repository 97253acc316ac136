//! What a caller sees of rate limits.

use std::time::Duration;

use actix_web::test::TestRequest;
use repartee_application::{
    limits::LimitRules,
    ports::{Counter, Decision, LimitClass, LimitSubject, MockRateLimiter},
};

use crate::fixture::{Answer, Fixture, as_user, conversation};

const RULES: LimitRules = LimitRules {
    requests_per_minute: 60,
    requests_per_hour: 1_000,
    log_ins_per_minute: 20,
    registrations_per_hour: 20,
    resets_per_hour: 10,
    guest_requests_per_minute: 20,
    uploads_per_minute: 20,
};

/// Everybody has asked once before, and `too_much` is refused.
fn limited(too_much: fn(&Counter) -> bool) -> Fixture {
    let mut limiter = MockRateLimiter::new();
    limiter.expect_check().returning(move |counters| {
        let is_refused = counters.iter().any(too_much);
        let ahead = |counter: &Counter| {
            let interval = Duration::from_micros(counter.quota.interval().unsigned_abs());
            if too_much(counter) { counter.quota.window } else { interval }
        };
        Ok(Decision {
            levels: counters.iter().map(|c| c.quota.level_after(ahead(c))).collect(),
            retry_after: is_refused.then_some(Duration::from_millis(2_500)),
        })
    });
    let mut fixture = Fixture { limiter, limit_rules: RULES, ..Fixture::default() };
    fixture.conversations.expect_find().returning(|_, _| Ok(Some(conversation())));
    fixture
}

async fn read(fixture: Fixture) -> Answer {
    let path = "/api/v1/conversations/ABCDEFGHIJ01";
    let peer = "192.0.2.1:4711".parse().unwrap();
    fixture.answer(as_user(TestRequest::get().uri(path).peer_addr(peer))).await
}

#[actix_web::test]
async fn every_answer_says_what_is_left() {
    let answer = read(limited(|_| false)).await;

    assert_eq!(answer.status, 200);
    for (name, value) in [
        ("ratelimit-policy", "\"minute\";q=60;w=60, \"hour\";q=1000;w=3600"),
        ("ratelimit", "\"minute\";r=59;t=1"),
        ("x-ratelimit-limit", "60"),
        ("x-ratelimit-remaining", "59"),
        ("x-ratelimit-reset", "1"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
}

#[actix_web::test]
async fn who_asks_too_much_learns_when_to_come_again() {
    let answer = read(limited(|counter| {
        matches!(counter.subject, LimitSubject::User(_)) && counter.quota.name == "hour"
    }))
    .await;

    assert_eq!((answer.status, &answer.body["code"]), (429, &"rate_limited".into()));
    assert_eq!(answer.header("retry-after"), Some("3"));
    assert_eq!(answer.header("ratelimit"), Some("\"hour\";r=0;t=3600"));
    assert_eq!(answer.header("x-should-retry"), None);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(answer.header("x-request-id").is_some() && answer.header("referrer-policy").is_some());
}

#[actix_web::test]
async fn who_asks_what_a_token_stands_for_is_counted_as_with_anything_else() {
    let request = TestRequest::post()
        .uri("/oauth/introspect")
        .insert_header(("content-type", "application/x-www-form-urlencoded"))
        .set_payload("token=good");
    let fixture = limited(|counter| matches!(counter.subject, LimitSubject::User(_)));

    let answer = fixture.answer(as_user(request)).await;

    assert_eq!((answer.status, &answer.body["code"]), (429, &"rate_limited".into()));
    assert_eq!(answer.header("retry-after"), Some("3"));
}

#[actix_web::test]
async fn an_address_is_refused_before_anybody_is_known() {
    let fixture = limited(|counter| matches!(counter.subject, LimitSubject::Address(_)));

    let answer = read(fixture).await;

    assert_eq!((answer.status, &answer.body["code"]), (429, &"rate_limited".into()));
    let policy = "\"address-minute\";q=600;w=60, \"address-hour\";q=10000;w=3600";
    assert_eq!(answer.header("ratelimit-policy"), Some(policy));
}

#[actix_web::test]
async fn log_ins_are_counted_by_address_and_answer_before_they_are_looked_at() {
    // A letter may come percent-encoded (RFC 3986, 6.2.2.2).
    for path in ["/api/v1/auth/login", "/api/v1/auth/lo%67in", "/%61pi/v1/auth/logi%6E"] {
        let fixture = limited(|counter| counter.class == LimitClass::LogIns);
        let peer = "192.0.2.1:4711".parse().unwrap();
        // Nothing of it is even read.
        let request = TestRequest::post().uri(path).peer_addr(peer).set_payload("{");

        let answer = fixture.answer(request).await;

        assert_eq!((answer.status, &answer.body["code"]), (429, &"rate_limited".into()), "{path}");
        assert_eq!(answer.header("ratelimit"), Some("\"login\";r=0;t=60"), "{path}");
    }
}

#[actix_web::test]
async fn what_is_for_everybody_is_not_counted() {
    for path in ["/health/live", "/", "/openapi.json", "/docs"] {
        let peer = "192.0.2.1:4711".parse().unwrap();
        let answer = limited(|_| true).answer(TestRequest::get().uri(path).peer_addr(peer)).await;
        assert_eq!((answer.status, answer.header("ratelimit")), (200, None), "{path}");
    }
}

#[actix_web::test]
async fn pages_of_other_origins_may_read_what_is_left() {
    let origin = ("origin", "https://chat.example.com");
    let path = "/api/v1/conversations/ABCDEFGHIJ01";
    let request = TestRequest::get().uri(path).insert_header(origin);
    let answer = limited(|_| false).answer(as_user(request)).await;

    let exposed = answer.header("access-control-expose-headers").unwrap().to_lowercase();
    for name in ["ratelimit-policy", "ratelimit", "x-ratelimit-reset", "retry-after", "etag"] {
        assert!(exposed.split(',').any(|header| header.trim() == name), "{name}: {exposed}");
    }
}
