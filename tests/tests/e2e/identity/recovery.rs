//! Getting back in, and proving that an address is one's own.

use futures::future::join_all;
use repartee_tests::server::{Server, Setup};
use serde_json::{Value, json};

use crate::support::{
    PASSWORD, address, log_in, mail_to, mails_to, on_both_databases, register, secret_in, somebody,
    text,
};

on_both_databases!(
    a_link_in_a_mail_resets_the_password_once,
    of_many_resets_with_one_link_one_succeeds,
    an_address_is_verified_by_the_link_that_was_mailed_there,
    a_new_password_keeps_this_session_and_ends_the_others,
);

const NEW: &str = "difference-engine-2";

async fn forgot(server: &Server, name: &str) -> Value {
    let body = json!({"email": address(name)});
    server.client().post("/api/v1/auth/password/forgot", &body).await.expect(202)
}

async fn a_link_in_a_mail_resets_the_password_once(setup: Setup) {
    let server = setup.start().await;
    let registered = register(&server, "ada").await;
    let ada = server.client().with_token(text(&registered["access_token"]));

    assert_eq!(forgot(&server, "ada").await, forgot(&server, "nobody").await);
    let first = secret_in(&mail_to(&server, "ada", "Choose a new password", 1).await, "reset");
    forgot(&server, "ada").await;
    let second = secret_in(&mail_to(&server, "ada", "Choose a new password", 2).await, "reset");
    assert_eq!(mails_to(&server, "nobody", "Choose a new password").len(), 0);

    let reset = async |token: &str, password: &str| {
        let body = json!({"token": token, "new_password": password});
        server.client().post("/api/v1/auth/password/reset", &body).await
    };
    reset("nothing", NEW).await.problem(422, "invalid_secret");
    let weak = reset(&second, "short-1").await.problem(422, "invalid_fields");
    assert_eq!(weak["errors"][0]["field"], "new_password");
    ada.get("/api/v1/users/me").await.expect(200);
    // Whoever asks for another takes none away; whoever resets needs none any more.
    reset(&first, NEW).await.expect(204);
    for token in [&first, &second] {
        reset(token, PASSWORD).await.problem(422, "invalid_secret");
    }

    ada.get("/api/v1/users/me").await.problem(401, "unauthenticated");
    let refresh = json!({"refresh_token": registered["refresh_token"]});
    let refused = server.client().post("/api/v1/auth/refresh", &refresh).await;
    refused.problem(401, "invalid_refresh_token");
    for (password, status) in [(PASSWORD, 401), (NEW, 200)] {
        let body = json!({"email": address("ada"), "password": password});
        server.client().post("/api/v1/auth/login", &body).await.expect(status);
    }
    let log = server.log().concat();
    assert!(
        !log.contains(&first) && !log.contains(&second) && !log.contains(&address("ada")),
        "{log}"
    );
}

async fn of_many_resets_with_one_link_one_succeeds(setup: Setup) {
    let server = setup.start().await;
    register(&server, "ada").await;
    forgot(&server, "ada").await;
    let token = secret_in(&mail_to(&server, "ada", "Choose a new password", 1).await, "reset");
    let body = json!({"token": token, "new_password": NEW});
    let client = server.client();

    let answers =
        join_all((0..12).map(|_| client.post("/api/v1/auth/password/reset", &body))).await;

    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (204, &[422; 11][..]));
}

async fn an_address_is_verified_by_the_link_that_was_mailed_there(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let is_verified =
        async || ada.get("/api/v1/users/me").await.expect(200)["is_email_verified"].clone();
    let first = secret_in(&mail_to(&server, "ada", "Confirm your address", 1).await, "verify");
    assert_eq!(is_verified().await, false);
    ada.post("/api/v1/auth/email/resend", &json!({})).await.expect(202);
    let second = secret_in(&mail_to(&server, "ada", "Confirm your address", 2).await, "verify");

    let verify = async |token: &str| {
        server.client().post("/api/v1/auth/email/verify", &json!({"token": token})).await
    };
    verify(&first).await.problem(422, "invalid_secret");
    assert_eq!(is_verified().await, false);
    verify(&second).await.expect(204);
    verify(&second).await.problem(422, "invalid_secret");
    assert_eq!(is_verified().await, true);
}

async fn a_new_password_keeps_this_session_and_ends_the_others(setup: Setup) {
    let server = setup.start().await;
    let phone = somebody(&server, "ada").await;
    let laptop = log_in(&server, "ada").await;
    let laptop = server.client().with_token(text(&laptop["access_token"]));
    let change = async |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        phone.post("/api/v1/users/me/password", &body).await
    };
    change("wrong-password-1", NEW).await.problem(403, "wrong_password");
    let weak = change(PASSWORD, "password1").await.problem(422, "invalid_fields");
    assert_eq!(weak["errors"][0]["field"], "new_password");
    laptop.get("/api/v1/users/me").await.expect(200);

    change(PASSWORD, NEW).await.expect(204);

    phone.get("/api/v1/users/me").await.expect(200);
    laptop.get("/api/v1/users/me").await.problem(401, "unauthenticated");
    for _ in 0..5 {
        change(PASSWORD, NEW).await.problem(403, "wrong_password");
    }
    change(NEW, PASSWORD).await.problem(429, "too_many_failures");
}
