//! Users that are made from the command line.

use std::process::Output;

use repartee_tests::server::{Server, Setup};
use serde_json::json;

use crate::support::{PASSWORD, address, log_in, on_both_databases, text};

on_both_databases!(
    an_administrator_is_made_with_a_password_that_is_no_argument,
    imported_users_log_in_with_their_old_passwords,
);

/// As passlib writes PBKDF2-SHA256; of `password`.
const HASH: &str =
    "$pbkdf2-sha256$6400$.6UI/S.nXIk8jcbdHx3Fhg$98jZicV16ODfEsEZeYPGHU3kbrUrvUEXOPimVSQDD44";

#[track_caller]
fn said(output: &Output, code: i32) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    if code == 0 { out } else { err }
}

async fn an_administrator_is_made_with_a_password_that_is_no_argument(setup: Setup) {
    let mut site = setup.with("REPARTEE_ADMIN_PASSWORD", PASSWORD).site().await;
    let root = address("root");
    let create = ["create-admin", "--email", &*root];
    assert_eq!(said(&site.run(&create).await, 0), format!("{root} is an administrator now"));
    assert!(said(&site.run(&create).await, 1).contains("email is already in use"));
    let wrong = said(&site.run(&["create-admin", "--email", "root"]).await, 2);
    assert!(wrong.contains("email must be an e-mail address"), "{wrong}");
    site.set("REPARTEE_ADMIN_PASSWORD", "short");
    let other = address("other");
    let weak = said(&site.run(&["create-admin", "--email", &other]).await, 2);
    assert!(weak.contains("password must have at least 8 characters"), "{weak}");
    // Nobody sits at a terminal, and nothing comes on stdin.
    site.set("REPARTEE_ADMIN_PASSWORD", "");
    let none = said(&site.run(&["create-admin", "--email", &other]).await, 2);
    assert!(none.contains("--password-stdin"), "{none}");
    said(&site.run(&["create-admin", "--email", &other, "--password-stdin"]).await, 2);

    let server = Server::start(site).await;
    let tokens = log_in(&server, "root").await;
    let root = server.client().with_token(text(&tokens["access_token"]));
    root.get("/api/v1/users").await.expect(200);
}

async fn imported_users_log_in_with_their_old_passwords(setup: Setup) {
    let site = setup.site().await;
    let user =
        |name: &str| json!({"email": address(name), "username": name, "password_hash": HASH});
    let write = |lines: &[serde_json::Value]| {
        let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
        std::fs::write(site.directory().join("users.jsonl"), lines.join("\n")).unwrap();
    };
    let import = ["import-users", "users.jsonl"];
    let mut manager = user("grace");
    manager["role"] = json!("manager");
    manager["email_verified"] = json!(true);
    let mut bad = user("bad");
    bad["password_hash"] = json!("md5");

    write(&[user("ada"), bad]);
    let refused = said(&site.run(&import).await, 1);
    assert!(refused.contains("users.jsonl: line 2: password_hash must be"), "{refused}");
    write(&[user("ada"), manager.clone()]);
    let known = "skipped: their addresses are known";
    assert_eq!(said(&site.run(&import).await, 0), format!("2 imported, 0 {known}"));
    write(&[user("ada"), manager, user("hedy")]);
    assert_eq!(said(&site.run(&import).await, 0), format!("1 imported, 2 {known}"));
    let mut clash = user("new");
    clash["username"] = json!("ADA");
    write(&[clash]);
    let refused = said(&site.run(&import).await, 1);
    assert!(refused.contains("line 1: username is in use by somebody else"), "{refused}");
    said(&site.run(&["import-users", "nowhere.jsonl"]).await, 1);

    let server = Server::start(site).await;
    for name in ["ada", "grace", "hedy"] {
        let with = |password: &str| json!({"email": address(name), "password": password});
        let login = "/api/v1/auth/login";
        server.client().post(login, &with("Password")).await.problem(401, "wrong_credentials");
        // The second time it is another hash.
        for _ in 0..2 {
            let signed_in = server.client().post(login, &with("password")).await.expect(200);
            let user = &signed_in["user"];
            assert_eq!(user["is_email_verified"], name == "grace");
            assert_eq!(user["role"], if name == "grace" { "manager" } else { "user" });
        }
    }
}
