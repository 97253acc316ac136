//! From signing in to signing out.

use futures::future::join_all;
use repartee_tests::server::{Client, Server, Setup};
use serde_json::{Value, json};

use crate::support::{PASSWORD, address, log_in, on_both_databases, register, somebody, text};

on_both_databases!(
    somebody_registers_signs_in_and_out,
    a_refresh_token_is_good_once,
    a_spent_refresh_token_ends_its_session,
    of_many_refreshes_at_once_one_succeeds,
    signing_out_everywhere_ends_every_session_of_this_user,
);

fn as_signed_in(server: &Server, tokens: &Value) -> Client {
    server.client().with_token(text(&tokens["access_token"]))
}

async fn refresh(server: &Server, tokens: &Value) -> repartee_tests::server::Answer {
    let body = json!({"refresh_token": tokens["refresh_token"]});
    server.client().post("/api/v1/auth/refresh", &body).await
}

async fn somebody_registers_signs_in_and_out(setup: Setup) {
    let server = setup.start().await;
    let registered = register(&server, "ada").await;
    assert_eq!(registered["token_type"], "bearer");
    assert_eq!(registered["expires_in"], 1800);
    assert_eq!(registered["user"]["role"], "user");
    as_signed_in(&server, &registered).get("/api/v1/users/me").await.expect(200);

    for name in [json!({"email": "ADA@Example.com"}), json!({"username": "Ada"})] {
        let mut body = name;
        body["password"] = json!(PASSWORD);
        let answer = server.client().post("/api/v1/auth/login", &body).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        let signed_in = answer.expect(200);
        assert_eq!(signed_in["user"]["email"], address("ada"));
        let ada = as_signed_in(&server, &signed_in);
        let me = ada.get("/api/v1/users/me").await.expect(200);
        assert_eq!(me["id"], registered["user"]["id"]);

        let answer = ada.post("/api/v1/auth/logout", &json!({})).await;
        answer.expect(204);
        ada.get("/api/v1/users/me").await.problem(401, "unauthenticated");
        refresh(&server, &signed_in).await.problem(401, "invalid_refresh_token");
    }
    as_signed_in(&server, &registered).get("/api/v1/users/me").await.expect(200);
}

async fn a_refresh_token_is_good_once(setup: Setup) {
    let server = setup.start().await;
    let first = register(&server, "ada").await;

    let second = refresh(&server, &first).await.expect(200);
    refresh(&server, &first).await.problem(401, "invalid_refresh_token");

    // A race of two tabs ends nothing: both access tokens and the new refresh token are good.
    for tokens in [&first, &second] {
        as_signed_in(&server, tokens).get("/api/v1/users/me").await.expect(200);
    }
    refresh(&server, &second).await.expect(200);
}

async fn a_spent_refresh_token_ends_its_session(setup: Setup) {
    let server = setup.start().await;
    let first = register(&server, "ada").await;
    let elsewhere = log_in(&server, "ada").await;
    let second = refresh(&server, &first).await.expect(200);
    let third = refresh(&server, &second).await.expect(200);

    refresh(&server, &first).await.problem(401, "invalid_refresh_token");

    for tokens in [&first, &second, &third] {
        let answer = as_signed_in(&server, tokens).get("/api/v1/users/me").await;
        answer.problem(401, "unauthenticated");
    }
    refresh(&server, &third).await.problem(401, "invalid_refresh_token");
    as_signed_in(&server, &elsewhere).get("/api/v1/users/me").await.expect(200);
}

async fn of_many_refreshes_at_once_one_succeeds(setup: Setup) {
    let server = setup.start().await;
    let tokens = register(&server, "ada").await;

    let answers = join_all((0..12).map(|_| refresh(&server, &tokens))).await;

    let good: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(good.len(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.problem(401, "invalid_refresh_token");
    }
    refresh(&server, &good[0].json()).await.expect(200);
}

async fn signing_out_everywhere_ends_every_session_of_this_user(setup: Setup) {
    let server = setup.start().await;
    let phone = register(&server, "ada").await;
    let laptop = log_in(&server, "ada").await;
    let grace = somebody(&server, "grace").await;

    let answer =
        as_signed_in(&server, &phone).post("/api/v1/auth/logout", &json!({"all": true})).await;
    answer.expect(204);

    for tokens in [&phone, &laptop] {
        let answer = as_signed_in(&server, tokens).get("/api/v1/users/me").await;
        answer.problem(401, "unauthenticated");
        refresh(&server, tokens).await.problem(401, "invalid_refresh_token");
    }
    grace.get("/api/v1/users/me").await.expect(200);
}
