//! OAuth clients.

use repartee_tests::server::{Answer, Client, Engine, Setup};
use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};

use crate::support::{
    WITHIN_A_SECOND, conversation, eventually, log_in, on_both_databases, register, somebody, text,
};

on_both_databases!(
    a_client_works_with_a_token_that_ends_with_its_key,
    a_refresh_token_is_a_grant,
    revoking_either_token_ends_the_session,
    only_own_tokens_are_active,
);

async fn form(client: &Client, path: &str, body: &str) -> Answer {
    let request = client.request(Method::POST, path);
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    Answer::to(request.body(body.to_owned())).await
}

async fn make_key(client: &Client, scopes: Value) -> Value {
    let body = json!({"name": "a client", "scopes": scopes});
    client.post("/api/v1/api-keys", &body).await.expect(201)
}

fn credentials(key: &Value) -> String {
    format!("client_id={}&client_secret={}", text(&key["id"]), text(&key["secret"]))
}

async fn a_client_works_with_a_token_that_ends_with_its_key(setup: Setup) {
    let server = setup.start().await;
    let (ada, stranger) = (somebody(&server, "ada").await, server.client());
    let key = make_key(&ada, json!(["chat", "read"])).await;
    let grant = format!("grant_type=client_credentials&{}", credentials(&key));

    let answer = form(&stranger, "/oauth/token", &grant).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let all = answer.expect(200);
    assert_eq!((&all["scope"], &all["token_type"]), (&json!("chat read"), &json!("Bearer")));
    let some = form(&stranger, "/oauth/token", &format!("{grant}&scope=read")).await.expect(200);
    assert_eq!(some["scope"], "read");
    let refused = form(&stranger, "/oauth/token", &format!("{grant}&scope=files")).await;
    assert_eq!(refused.expect(400)["error"], "invalid_scope");

    let (all, some) = (
        stranger.with_token(text(&all["access_token"])),
        stranger.with_token(text(&some["access_token"])),
    );
    conversation(&all).await;
    some.get("/api/v1/conversations").await.expect(200);
    some.post("/api/v1/conversations", &json!({})).await.problem(403, "insufficient_scope");
    all.get("/api/v1/api-keys").await.problem(403, "not_for_keys");
    let mut feed = all.feed("/api/v1/events", None).await;

    ada.delete(&format!("/api/v1/api-keys/{}", text(&key["id"]))).await.expect(204);

    for client in [&all, &some] {
        client.get("/api/v1/conversations").await.problem(401, "unauthenticated");
    }
    tokio::time::timeout(WITHIN_A_SECOND, feed.ended()).await.expect("the stream goes on");
    let refused = form(&stranger, "/oauth/token", &grant).await;
    assert!(refused.header("www-authenticate").starts_with("Basic"));
    assert_eq!(refused.expect(401)["error"], "invalid_client");
}

async fn a_refresh_token_is_a_grant(setup: Setup) {
    let server = setup.start().await;
    let registered = register(&server, "ada").await;
    let stranger = server.client();
    let grant = |tokens: &Value| {
        format!("grant_type=refresh_token&refresh_token={}", text(&tokens["refresh_token"]))
    };
    let second = form(&stranger, "/oauth/token", &grant(&registered)).await.expect(200);
    let third = form(&stranger, "/oauth/token", &grant(&second)).await.expect(200);
    let ada = stranger.with_token(text(&third["access_token"]));
    ada.get("/api/v1/users/me").await.expect(200);

    let refused = form(&stranger, "/oauth/token", &grant(&registered)).await;
    assert_eq!(refused.expect(400)["error"], "invalid_grant");
    ada.get("/api/v1/users/me").await.problem(401, "unauthenticated");
}

async fn revoking_either_token_ends_the_session(setup: Setup) {
    let server = setup.start().await;
    register(&server, "ada").await;
    let stranger = server.client();
    for kind in ["access_token", "refresh_token"] {
        let tokens = log_in(&server, "ada").await;
        let ada = stranger.with_token(text(&tokens["access_token"]));
        ada.get("/api/v1/users/me").await.expect(200);
        let body = format!("token={}&token_type_hint=nonsense", text(&tokens[kind]));
        for _ in 0..2 {
            form(&stranger, "/oauth/revoke", &body).await.expect(200);
        }
        eventually("it is refused", WITHIN_A_SECOND, async || {
            ada.get("/api/v1/users/me").await.status == 401
        })
        .await;
        let refresh = json!({"refresh_token": tokens["refresh_token"]});
        stranger.post("/api/v1/auth/refresh", &refresh).await.problem(401, "invalid_refresh_token");
    }
    form(&stranger, "/oauth/revoke", "token=nonsense").await.expect(200);
    assert_eq!(form(&stranger, "/oauth/revoke", "").await.expect(400)["error"], "invalid_request");
    let key = make_key(&somebody(&server, "grace").await, json!(["chat"])).await;
    let body = format!("token={}", text(&key["secret"]));
    let refused = form(&stranger, "/oauth/revoke", &body).await;
    assert_eq!(refused.expect(400)["error"], "unsupported_token_type");
}

async fn only_own_tokens_are_active(setup: Setup) {
    let server = setup.start().await;
    let tokens = register(&server, "ada").await;
    let stranger = server.client();
    let ada = stranger.with_token(text(&tokens["access_token"]));
    let grace = somebody(&server, "grace").await;
    let key = make_key(&ada, json!(["chat"])).await;
    let theirs = make_key(&grace, json!(["chat"])).await;
    for (token, token_type) in [
        (&tokens["access_token"], json!("Bearer")),
        (&tokens["refresh_token"], Value::Null),
        (&key["secret"], json!("Bearer")),
    ] {
        let body = format!("token={}", text(token));
        let told = form(&ada, "/oauth/introspect", &body).await.expect(200);
        assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &token_type));
        assert_eq!(told["sub"], tokens["user"]["id"]);
        let as_client = format!("{body}&{}", credentials(&key));
        let told = form(&stranger, "/oauth/introspect", &as_client).await.expect(200);
        assert_eq!(told["active"], true);
        // To anybody else it might as well be nonsense.
        let as_another = format!("{body}&{}", credentials(&theirs));
        for answer in [
            form(&grace, "/oauth/introspect", &body).await,
            form(&stranger, "/oauth/introspect", &as_another).await,
            form(&ada, "/oauth/introspect", "token=nonsense").await,
        ] {
            assert_eq!(answer.expect(200), json!({"active": false}));
        }
        let refused = form(&stranger, "/oauth/introspect", &body).await;
        assert_eq!(refused.expect(401)["error"], "invalid_client");
    }
    ada.post("/api/v1/auth/logout", &json!({})).await.expect(204);
    let body = format!("token={}&{}", text(&tokens["access_token"]), credentials(&key));
    let told = form(&stranger, "/oauth/introspect", &body).await.expect(200);
    assert_eq!(told, json!({"active": false}));
}

#[tokio::test]
async fn a_client_finds_its_way_from_the_well_known_address() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let stranger = server.client();
    let known = stranger.get("/.well-known/oauth-authorization-server").await.expect(200);
    let base = format!("http://{}", stranger.authority());
    assert_eq!(known["issuer"], base.as_str());
    let path = text(&known["token_endpoint"]).strip_prefix(&base).unwrap();
    let refused = form(&stranger, path, "grant_type=password&username=a&password=b").await;
    assert_eq!(refused.expect(400)["error"], "unsupported_grant_type");
    let keys = stranger.get(text(&known["jwks_uri"]).strip_prefix(&base).unwrap()).await;
    assert_eq!(keys.expect(200), json!({"keys": []}), "a secret is not published");
}
