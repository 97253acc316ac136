//! Administrators and the users that they manage.

use futures::future::join_all;
use repartee_tests::server::{Answer, Client, Setup};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    PASSWORD, WITHIN_A_SECOND, address, eventually, id_of_user, list, log_in, mail_to,
    on_both_databases, secret_in, somebody, text, with_root,
};

on_both_databases!(
    a_user_is_made_without_a_password_and_chooses_one,
    a_manager_reads_the_list_and_nobody_elses_account,
    users_are_listed_newest_first_and_found_by_their_names,
    a_role_counts_within_a_second_and_a_stale_change_is_refused,
    who_is_deactivated_is_out_until_reactivated,
    the_last_administrator_stays,
);

const USERS: &str = "/api/v1/users";

async fn make(root: &Client, name: &str, role: &str) -> Value {
    let body = json!({"email": address(name), "password": PASSWORD, "role": role,
        "username": name});
    root.post(USERS, &body).await.expect(201)
}

fn path(user: &Value) -> String {
    format!("{USERS}/{}", text(&user["id"]))
}

async fn a_user_is_made_without_a_password_and_chooses_one(setup: Setup) {
    let (server, root) = with_root(setup).await;
    let body = json!({"email": address("grace"), "role": "manager", "first_name": "Grace"});
    let made = root.post(USERS, &body).await;
    let grace = made.expect(201);
    assert_eq!(made.header("location"), path(&grace));
    assert_eq!((&grace["role"], &grace["first_name"]), (&json!("manager"), &json!("Grace")));
    for password in ["", "!", PASSWORD] {
        let body = json!({"email": address("grace"), "password": password});
        server.client().post("/api/v1/auth/login", &body).await.problem(401, "wrong_credentials");
    }

    let mail = mail_to(&server, "grace", "Choose a new password", 1).await;
    let body = json!({"token": secret_in(&mail, "reset"), "new_password": PASSWORD});
    server.client().post("/api/v1/auth/password/reset", &body).await.expect(204);

    let signed_in = log_in(&server, "grace").await;
    assert_eq!(signed_in["user"]["is_email_verified"], true);
    root.post(USERS, &json!({"email": address("grace")})).await.problem(409, "email_taken");
    for (wrong, field) in [
        (json!({"email": "x"}), "email"),
        (json!({"email": address("x"), "role": "guest"}), "role"),
        (json!({"email": address("x"), "password": "short"}), "password"),
    ] {
        let problem = root.post(USERS, &wrong).await.problem(422, "invalid_fields");
        assert_eq!(problem["errors"][0]["field"], field);
    }
}

async fn a_manager_reads_the_list_and_nobody_elses_account(setup: Setup) {
    let (server, root) = with_root(setup).await;
    make(&root, "grace", "manager").await;
    let grace = log_in(&server, "grace").await;
    let grace = server.client().with_token(text(&grace["access_token"]));
    let ada = somebody(&server, "ada").await;
    let (own, other) = (id_of_user(&ada).await, id_of_user(&grace).await);

    assert_eq!(list(&grace.get(&format!("{USERS}/")).await.expect(200)["data"]).len(), 3);
    ada.get(USERS).await.problem(403, "forbidden");
    for client in [&ada, &grace] {
        client.post(USERS, &json!({"email": address("x")})).await.problem(403, "forbidden");
    }
    assert_eq!(ada.get(&format!("{USERS}/{own}")).await.expect(200)["id"], own);
    let code = ada.get("/api/v1/users/me").await.expect(200)["code"].clone();
    assert_eq!(root.get(&format!("{USERS}/{}", text(&code))).await.expect(200)["id"], own);
    for method in [Method::PATCH, Method::DELETE] {
        let request = ada.request(method, &format!("{USERS}/{own}")).json(&json!({}));
        Answer::to(request).await.problem(403, "forbidden");
    }
    for (client, id) in [(&ada, &*other), (&grace, &*own), (&ada, "nobody"), (&root, "nobody")] {
        for method in [Method::GET, Method::PATCH, Method::DELETE] {
            let request = client.request(method, &format!("{USERS}/{id}"));
            Answer::to(request.json(&json!({"role": 5}))).await.problem(404, "user_not_found");
        }
    }
}

async fn users_are_listed_newest_first_and_found_by_their_names(setup: Setup) {
    let (_server, root) = with_root(setup).await;
    for (name, role) in [("ada", "user"), ("adam", "manager"), ("grace", "user")] {
        make(&root, name, role).await;
    }
    let find = async |query: &str| {
        let page = root.get(&format!("{USERS}?{query}")).await.expect(200);
        let names = list(&page["data"]).iter().map(|user| text(&user["email"]).to_owned());
        let names = names.map(|email| email.split('@').next().unwrap().to_owned());
        (names.collect::<Vec<_>>(), page["next_cursor"].clone())
    };

    let (first, cursor) = find("limit=2").await;
    assert_eq!(first, ["grace", "adam"]);
    let (second, cursor) = find(&format!("limit=2&cursor={}", text(&cursor))).await;
    assert_eq!((second, cursor), (vec!["ada".to_owned(), "root".to_owned()], Value::Null));
    for (query, found) in [
        ("q=AD", vec!["adam", "ada"]),
        ("q=adam%40", vec!["adam"]),
        ("q=dam", vec![]),
        ("role=user", vec!["grace", "ada"]),
        ("role=admin&is_active=true", vec!["root"]),
        ("is_active=false", vec![]),
    ] {
        assert_eq!(find(query).await.0, found, "{query}");
    }
    for (query, field) in
        [("role=guest", "role"), ("is_active=1", "is_active"), ("cursor=x", "cursor")]
    {
        let problem = root.get(&format!("{USERS}?{query}")).await.problem(422, "invalid_fields");
        assert_eq!(problem["errors"][0]["field"], field);
    }
}

async fn a_role_counts_within_a_second_and_a_stale_change_is_refused(setup: Setup) {
    let (server, root) = with_root(setup).await;
    let ada = somebody(&server, "ada").await;
    let path = format!("{USERS}/{}", id_of_user(&ada).await);
    ada.get(USERS).await.problem(403, "forbidden");
    let tag = root.get(&path).await.header("etag").to_owned();

    let change = |tag: &str, role: &str| {
        let request = root.request(Method::PATCH, &path).header("If-Match", tag);
        Answer::to(request.json(&json!({"role": role})))
    };
    let changed = change(&tag, "manager").await;
    assert_eq!(changed.expect(200)["role"], "manager");
    change(&tag, "user").await.problem(412, "version_mismatch");

    let counts = async || ada.get(USERS).await.status == 200;
    eventually("the role counts", WITHIN_A_SECOND, counts).await;
    change(changed.header("etag"), "user").await.expect(200);
    let counts = async || ada.get(USERS).await.status == 403;
    eventually("the role counts no more", WITHIN_A_SECOND, counts).await;

    let problem = root.patch(&path, &json!({"email": "x"})).await.problem(422, "invalid_fields");
    assert_eq!(problem["errors"][0]["field"], "email");
    root.patch(&path, &json!({"email": address("root")})).await.problem(409, "email_taken");
    let moved = root.patch(&path, &json!({"email": address("lovelace")})).await.expect(200);
    assert_eq!(moved["is_email_verified"], false);
    mail_to(&server, "lovelace", "Confirm your address", 1).await;
}

async fn who_is_deactivated_is_out_until_reactivated(setup: Setup) {
    let (server, root) = with_root(setup).await;
    let ada = somebody(&server, "ada").await;
    let path = format!("{USERS}/{}", id_of_user(&ada).await);

    let inactive = root.patch(&path, &json!({"is_active": false})).await.expect(200);
    assert_eq!(inactive["is_active"], false);

    ada.get("/api/v1/users/me").await.problem(401, "unauthenticated");
    let body = json!({"email": address("ada"), "password": PASSWORD});
    server.client().post("/api/v1/auth/login", &body).await.problem(401, "wrong_credentials");
    server.client().post("/api/v1/auth/password/forgot", &body).await.expect(202);
    root.patch(&path, &json!({"is_active": true})).await.expect(200);
    ada.get("/api/v1/users/me").await.problem(401, "unauthenticated");
    log_in(&server, "ada").await;
}

async fn the_last_administrator_stays(setup: Setup) {
    let (server, root) = with_root(setup).await;
    let own = format!("{USERS}/{}", id_of_user(&root).await);
    for body in [json!({"role": "user"}), json!({"is_active": false})] {
        root.patch(&own, &body).await.problem(409, "last_admin");
    }
    root.delete(&own).await.problem(409, "last_admin");
    root.get(USERS).await.expect(200);

    let grace = make(&root, "grace", "admin").await;
    let signed_in = log_in(&server, "grace").await;
    let second = server.client().with_token(text(&signed_in["access_token"]));
    let demote = json!({"role": "user"});
    let own_and_other = [(&second, own), (&root, path(&grace))];
    let answers = join_all(own_and_other.iter().map(|(by, whom)| by.patch(whom, &demote))).await;
    let demoted = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(demoted, 1, "{answers:?}");
}
