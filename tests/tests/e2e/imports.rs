//! Users that are made from the command line.

use std::process::Output;

use repartee_tests::server::{Server, Setup, Site};
use serde_json::{Value, json};

use crate::support::{PASSWORD, address, log_in, on_both_databases, text};

on_both_databases!(
    an_administrator_is_made_with_a_password_that_is_no_argument,
    imported_users_log_in_with_their_old_passwords,
    a_file_with_a_mistake_at_its_end_changes_nothing,
);

/// As passlib writes PBKDF2-SHA256; of `password`.
const HASH: &str =
    "$pbkdf2-sha256$6400$.6UI/S.nXIk8jcbdHx3Fhg$98jZicV16ODfEsEZeYPGHU3kbrUrvUEXOPimVSQDD44";

const IMPORT: [&str; 2] = ["import-users", "users.jsonl"];

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

fn user(name: &str) -> Value {
    json!({"email": address(name), "username": name, "password_hash": HASH})
}

fn write(site: &Site, lines: &[Value]) {
    let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
    std::fs::write(site.directory().join("users.jsonl"), lines.join("\n")).unwrap();
}

fn imported(stored: usize, skipped: usize) -> String {
    format!("{stored} imported, {skipped} skipped: their addresses are known")
}

async fn imported_users_log_in_with_their_old_passwords(setup: Setup) {
    let site = setup.site().await;
    let write = |lines: &[Value]| write(&site, lines);
    let mut manager = user("grace");
    manager["role"] = json!("manager");
    manager["email_verified"] = json!(true);
    let mut bad = user("bad");
    bad["password_hash"] = json!("md5");

    write(&[user("ada"), bad]);
    let refused = said(&site.run(&IMPORT).await, 1);
    assert!(refused.contains("users.jsonl: line 2: password_hash must be"), "{refused}");
    write(&[user("ada"), manager.clone()]);
    assert_eq!(said(&site.run(&IMPORT).await, 0), imported(2, 0));
    write(&[user("ada"), manager, user("hedy")]);
    assert_eq!(said(&site.run(&IMPORT).await, 0), imported(1, 2));
    let mut clash = user("new");
    clash["username"] = json!("ADA");
    write(&[clash]);
    let refused = said(&site.run(&IMPORT).await, 1);
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

async fn a_file_with_a_mistake_at_its_end_changes_nothing(setup: Setup) {
    let site = setup.site().await;
    // Far apart: users are stored by the hundred.
    let mut users: Vec<_> = (0..500).map(|n| user(&format!("user{n}"))).collect();
    users[499]["username"] = json!("USER0");
    write(&site, &users);

    let refused = said(&site.run(&IMPORT).await, 1);

    assert!(refused.contains("line 500: username is in use by somebody else"), "{refused}");
    users[499]["username"] = json!("user499");
    write(&site, &users);
    assert_eq!(said(&site.run(&IMPORT).await, 0), imported(500, 0));
    assert_eq!(said(&site.run(&IMPORT).await, 0), imported(0, 500), "again");
}
