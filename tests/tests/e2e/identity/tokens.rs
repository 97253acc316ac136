//! Access tokens that are none.

use repartee_tests::server::{Answer, Engine, Setup};
use reqwest::Method;

use crate::support::{register, text};

/// `{"alg":"none","typ":"at+jwt"}`
const NO_ALGORITHM: &str = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0";

#[tokio::test]
async fn only_a_token_of_ours_is_good() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let registered = register(&server, "ada").await;
    let token = text(&registered["access_token"]);
    let [head, claims, signature]: [&str; 3] =
        token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let other_end = format!("{flipped}{}", &signature[1..]);
    for bad in [
        String::new(),
        "nonsense".to_owned(),
        "..".to_owned(),
        text(&registered["refresh_token"]).to_owned(),
        format!("{head}.{claims}."),
        format!("{head}.{claims}.{other_end}"),
        format!("{NO_ALGORITHM}.{claims}."),
        format!("{NO_ALGORITHM}.{claims}.{signature}"),
        format!("{token}.x"),
        "é".repeat(20),
        "x".repeat(6_000),
    ] {
        let answer = server.client().with_token(&bad).get("/api/v1/users/me").await;
        answer.problem(401, "unauthenticated");
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{bad}");
    }
}

#[tokio::test]
async fn the_scheme_is_bearer_in_any_case() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let registered = register(&server, "ada").await;
    let token = text(&registered["access_token"]);
    for (scheme, status) in [("Bearer", 200), ("bearer", 200), ("BEARER", 200), ("Basic", 401)] {
        let request = server.client().request(Method::GET, "/api/v1/users/me");
        let answer = Answer::to(request.header("Authorization", format!("{scheme} {token}"))).await;
        answer.expect(status);
    }
}

#[tokio::test]
async fn a_token_in_the_query_is_for_event_streams_alone() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let registered = register(&server, "ada").await;
    let token = text(&registered["access_token"]);
    let me = server.client().get(&format!("/api/v1/users/me?token={token}")).await;
    me.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_token_outlives_a_restart_and_not_another_secret() {
    let mut server = Setup::on(Engine::Sqlite).start().await;
    let registered = register(&server, "ada").await;
    let token = text(&registered["access_token"]);

    server.restart().await;
    server.client().with_token(token).get("/api/v1/users/me").await.expect(200);

    server.site.set("JWT_SECRET", "another secret of thirty-two bytes");
    server.restart().await;
    let answer = server.client().with_token(token).get("/api/v1/users/me").await;
    answer.problem(401, "unauthenticated");
}
