//! A refresh token, and all that came of it.

use repartee_tests::server::{Answer, Server, Setup};
use serde_json::{Value, json};

use crate::support::{log_in, on_both_databases, register, text};

on_both_databases!(a_chain_replayed_at_any_point_ends_but_for_a_race);

const LENGTH: usize = 10;

async fn refresh(server: &Server, tokens: &Value) -> Answer {
    let body = json!({"refresh_token": tokens["refresh_token"]});
    server.client().post("/api/v1/auth/refresh", &body).await
}

async fn status(server: &Server, tokens: &Value) -> u16 {
    let client = server.client().with_token(text(&tokens["access_token"]));
    client.get("/api/v1/users/me").await.status
}

async fn a_chain_replayed_at_any_point_ends_but_for_a_race(setup: Setup) {
    let server = setup.start().await;
    register(&server, "ada").await;
    let elsewhere = log_in(&server, "ada").await;
    for point in 0..LENGTH {
        let mut chain = vec![log_in(&server, "ada").await];
        for _ in 0..LENGTH {
            let next = refresh(&server, &chain[chain.len() - 1]).await.expect(200);
            chain.push(next);
        }
        for tokens in &chain {
            assert_eq!(status(&server, tokens).await, 200);
        }

        refresh(&server, &chain[point]).await.problem(401, "invalid_refresh_token");

        // The one before the last might be two tabs that raced: a moment ago, and nothing came of
        // what replaced it.
        let goes_on = point == LENGTH - 1;
        for tokens in &chain {
            assert_eq!(status(&server, tokens).await == 200, goes_on, "{point}");
        }
        let last = refresh(&server, &chain[LENGTH]).await;
        assert_eq!(last.status == 200, goes_on, "{point}");
        if !goes_on {
            last.problem(401, "invalid_refresh_token");
        }
    }
    assert_eq!(status(&server, &elsewhere).await, 200, "other devices stay signed in");
}
