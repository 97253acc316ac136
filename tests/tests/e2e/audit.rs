//! The audit log: what is in it, who reads it, and whether it holds.

use repartee_tests::server::{Client, Server, Setup};
use serde_json::{Value, json};

use crate::support::{
    PASSWORD, WITHIN_A_SECOND, address, eventually, id_of_user, list, log_in, on_both_databases,
    on_replicas, register, somebody, text,
};

on_both_databases!(
    what_somebody_did_is_told_with_where_they_were,
    nobody_but_an_administrator_reads_it,
    who_was_refused_is_told_of,
    a_changed_profile_is_told_of_by_the_names_of_its_fields,
    starts_and_stops_are_in_it_and_the_chain_holds_across_them,
    an_export_has_everything,
);
on_replicas!(replicas_write_one_chain);

const LOGS: &str = "/api/v1/audit-logs";

fn administered(setup: Setup) -> Setup {
    setup
        .with("REPARTEE__BOOTSTRAP__ADMIN_EMAIL", &address("root"))
        .with("REPARTEE__BOOTSTRAP__ADMIN_PASSWORD", PASSWORD)
}

async fn administrator(server: &Server) -> Client {
    let signed_in = log_in(server, "root").await;
    server.client().with_token(text(&signed_in["access_token"]))
}

async fn entries(admin: &Client, query: &str) -> Vec<Value> {
    list(&admin.get(&format!("{LOGS}?limit=100&{query}")).await.expect(200)["data"]).to_vec()
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| text(&entry["action"])).collect()
}

async fn what_somebody_did_is_told_with_where_they_were(setup: Setup) {
    let server = administered(setup).start().await;
    let ada = somebody(&server, "ada").await;
    let id = id_of_user(&ada).await;
    let again = log_in(&server, "ada").await;
    let refresh = json!({"refresh_token": again["refresh_token"]});
    server.client().post("/api/v1/auth/refresh", &refresh).await.expect(200);
    ada.post("/api/v1/auth/logout", &json!({})).await.expect(204);
    let admin = administrator(&server).await;

    let told = entries(&admin, &format!("user_id={id}")).await;

    assert_eq!(actions(&told), ["logout", "token_made", "login", "account_made"]);
    for entry in &told {
        assert_eq!((&entry["actor"], &entry["outcome"]), (&json!("user"), &json!("success")));
        assert_eq!(entry["ip_address"], "127.0.0.1", "{entry}");
        assert!(entry["request_id"].is_string(), "{entry}");
    }
    let made = entries(&admin, "action=account_made").await;
    assert_eq!(made.len(), 2, "the administrator was made too");
    let at = text(&told[1]["at"]);
    let until = entries(&admin, &format!("user_id={id}&to={at}")).await;
    assert_eq!(actions(&until), ["login", "account_made"]);
    // Reading is told of as well.
    let reads = entries(&admin, "action=audit_read").await;
    assert_eq!(reads[0]["details"], json!({"what": "list", "action": "audit_read"}));
    assert_eq!(reads.len(), 4);
}

async fn a_changed_profile_is_told_of_by_the_names_of_its_fields(setup: Setup) {
    let server = administered(setup).start().await;
    let ada = somebody(&server, "ada").await;
    let changes = json!({"first_name": "Augusta", "language": "en", "username": "ada"});
    ada.patch("/api/v1/users/me", &changes).await.expect(200);
    ada.put("/api/v1/users/me", &changes).await.expect(200);
    let admin = administrator(&server).await;

    let told = entries(&admin, "action=account_changed").await;

    let details: Vec<_> = told.iter().map(|entry| entry["details"].clone()).collect();
    assert_eq!(
        details,
        [json!({"fields": "first_name language"})],
        "what changed nothing is not told"
    );
}

async fn nobody_but_an_administrator_reads_it(setup: Setup) {
    let server = administered(setup).start().await;
    let ada = somebody(&server, "ada").await;
    for path in ["", "/verify", "/export"] {
        let path = format!("{LOGS}{path}");
        ada.get(&path).await.problem(403, "forbidden");
        server.client().get(&path).await.problem(401, "unauthenticated");
    }
}

async fn who_was_refused_is_told_of(setup: Setup) {
    let server = administered(setup).start().await;
    let ada = somebody(&server, "ada").await;
    let id = id_of_user(&ada).await;
    ada.get(&format!("{LOGS}/verify")).await.problem(403, "forbidden");
    let admin = administrator(&server).await;

    let query = format!("outcome=denied&user_id={id}");
    eventually("the refusal is told of", WITHIN_A_SECOND, async || {
        !entries(&admin, &query).await.is_empty()
    })
    .await;
    let told = entries(&admin, &query).await;

    assert_eq!(actions(&told), ["access_denied"], "once");
    let resource = json!({"type": "route", "id": "GET /api/v1/audit-logs/verify"});
    assert_eq!(told[0]["resource"], resource);
    assert_eq!(told[0]["details"], json!({"code": "forbidden"}));
}

async fn starts_and_stops_are_in_it_and_the_chain_holds_across_them(setup: Setup) {
    let mut server = administered(setup).start().await;
    register(&server, "ada").await;
    server.terminate().await;
    server.ended().await;
    server.restart().await;
    let admin = administrator(&server).await;

    let told = entries(&admin, "").await;
    let of_the_server: Vec<_> = told.iter().filter(|entry| entry["actor"] == "system").collect();
    let names: Vec<_> = of_the_server.iter().map(|entry| text(&entry["action"])).collect();
    assert_eq!(names, ["server_started", "server_stopped", "server_started", "account_made"]);
    let stop = of_the_server[1];
    assert!(stop["position"].is_u64(), "the end is sealed before the process is gone: {stop}");

    let verified = admin.get(&format!("{LOGS}/verify")).await.expect(200);

    assert_eq!((&verified["intact"], &verified["fault"]), (&json!(true), &Value::Null));
    let told = entries(&admin, "").await;
    let held = told.iter().find(|entry| entry["position"] == verified["entries"]).unwrap();
    assert_eq!(held["hash"], verified["head"]);
    assert_eq!(held["details"], json!({"what": "verify"}), "up to the question itself");
    let anchors = server.log().iter().filter(|line| line.contains("audit log anchor")).count();
    assert!((1..=2).contains(&anchors), "once a day: {anchors}");
}

async fn an_export_has_everything(setup: Setup) {
    let server = administered(setup).start().await;
    let admin = administrator(&server).await;
    for _ in 0..120 {
        entries(&admin, "action=login").await;
    }

    let export = admin.get(&format!("{LOGS}/export?action=audit_read")).await;

    assert_eq!(export.status, 200);
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    let text = export.text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 121, "with the export itself");
    assert_eq!(lines[0]["details"]["what"], "export");
    let ids: Vec<_> = lines.iter().map(|line| line["id"].as_i64().unwrap()).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older), "newest first");
}

async fn replicas_write_one_chain(setup: Setup) {
    let [here, there] = administered(setup).replicas().await;
    for n in 0..10 {
        let (one, other) = (format!("ada-{n}"), format!("bob-{n}"));
        futures::join!(register(&here, &one), register(&there, &other));
    }
    for server in [&here, &there] {
        let admin = administrator(server).await;
        let verified = admin.get(&format!("{LOGS}/verify")).await.expect(200);
        assert_eq!(verified["intact"], true, "{verified}");
        assert!(verified["entries"].as_u64().unwrap() > 22, "{verified}");
    }
}
