//! Reading and editing the catalogue.

use repartee_tests::server::{Answer, Client, Engine, Server, Setup};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    PASSWORD, address, list, log_in, on_both_databases, somebody, text, with_root,
};

on_both_databases!(
    a_fresh_server_has_six_personas_for_everybody,
    a_manager_edits_the_catalogue_and_the_audit_log_tells,
    a_repeated_request_makes_one_persona,
);

const PERSONAS: &str = "/api/v1/personas";

async fn manager(server: &Server, root: &Client) -> Client {
    let body = json!({"email": address("grace"), "password": PASSWORD, "role": "manager"});
    root.post("/api/v1/users", &body).await.expect(201);
    let tokens = log_in(server, "grace").await;
    server.client().with_token(text(&tokens["access_token"]))
}

fn names(personas: &Value) -> Vec<&str> {
    list(personas).iter().map(|persona| text(&persona["name"])).collect()
}

async fn a_fresh_server_has_six_personas_for_everybody(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let six = ["General", "Technology", "Business", "Education", "Health", "Creative"];
    for client in [server.client(), ada] {
        let native = client.get(PERSONAS).await.expect(200);
        assert_eq!(names(&native["data"]), six);
        let array = client.get("/api/personas").await.expect(200);
        assert_eq!(array, native["data"]);
        for persona in list(&array) {
            assert!(persona.get("system_prompt").is_none(), "{persona}");
            let one = client.get(&format!("/api/personas/{}", persona["id"])).await.expect(200);
            assert_eq!(&one, persona);
        }
    }
    let nobody = server.client().with_token("nonsense");
    nobody.get("/api/personas").await.problem(401, "unauthenticated");
}

async fn a_manager_edits_the_catalogue_and_the_audit_log_tells(setup: Setup) {
    let (server, root) = with_root(setup).await;
    let grace = manager(&server, &root).await;
    let ada = somebody(&server, "ada").await;
    let body = json!({"name": "Pirate", "system_prompt": "Talk like a pirate.", "icon": "🏴‍☠️"});
    ada.post(PERSONAS, &body).await.problem(403, "forbidden");

    let made = grace.post(PERSONAS, &body).await;
    let (pirate, path) = (made.expect(201), made.header("location").to_owned());
    assert_eq!(path, format!("{PERSONAS}/7"));
    assert_eq!(
        (&pirate["system_prompt"], &pirate["is_active"]),
        (&body["system_prompt"], &json!(true))
    );
    grace.post(PERSONAS, &body).await.problem(409, "name_taken");
    ada.put(&path, &json!({"icon": null})).await.problem(403, "forbidden");

    let change = |tag: &str, body: Value| {
        Answer::to(grace.request(Method::PUT, &path).header("If-Match", tag).json(&body))
    };
    let changed = change(made.header("etag"), json!({"icon": null, "is_active": false})).await;
    assert_eq!(
        (&changed.expect(200)["icon"], &changed.json()["name"]),
        (&Value::Null, &json!("Pirate"))
    );
    change(made.header("etag"), json!({"name": "x"})).await.problem(412, "version_mismatch");
    grace.put(&path, &json!({"name": "General"})).await.problem(409, "name_taken");
    let wrong = grace.put(&path, &json!({"name": " "})).await.problem(422, "invalid_fields");
    assert_eq!(
        (&wrong["errors"][0]["field"], &wrong["errors"][0]["code"]),
        (&json!("name"), &json!("required"))
    );

    // Inactive, it is there for who edits alone.
    ada.get(&path).await.problem(404, "persona_not_found");
    assert_eq!(list(&ada.get(PERSONAS).await.expect(200)["data"]).len(), 6);
    let none = ada.get(&format!("{PERSONAS}?is_active=false")).await.expect(200);
    assert_eq!(none["data"], json!([]));
    let inactive = grace.get(&format!("{PERSONAS}?is_active=false")).await.expect(200);
    assert_eq!(names(&inactive["data"]), ["Pirate"]);
    assert_eq!(list(&root.get(PERSONAS).await.expect(200)["data"]).len(), 7);

    grace.delete(&path).await.expect(204);
    grace.delete(&path).await.problem(404, "persona_not_found");
    for action in ["persona_made", "persona_changed", "persona_deleted"] {
        let told = root.get(&format!("/api/v1/audit-logs?action={action}")).await.expect(200);
        let told = list(&told["data"]);
        assert_eq!(told.len(), 1, "{action}");
        assert_eq!(told[0]["resource"], json!({"type": "persona", "id": "7"}));
        assert!(!told[0].to_string().contains("pirate"), "{}", told[0]);
    }
}

async fn a_repeated_request_makes_one_persona(setup: Setup) {
    let (_server, root) = with_root(setup).await;
    let make = |body: Value| {
        let request = root.request(Method::POST, PERSONAS).header("Idempotency-Key", "k-1");
        Answer::to(request.json(&body))
    };
    let body = json!({"name": "Pirate", "system_prompt": "Arr."});
    let first = make(body.clone()).await.expect(201);
    assert_eq!(make(body.clone()).await.expect(201), first);
    make(json!({"name": "Other", "system_prompt": "Arr."}))
        .await
        .problem(422, "idempotency_key_reused");
    root.delete(&format!("{PERSONAS}/{}", first["id"])).await.expect(204);
    make(body).await.problem(409, "already_done");
}

#[tokio::test]
async fn where_guests_are_not_let_in_the_catalogue_is_for_users() {
    let setup = Setup::on(Engine::Sqlite).with("REPARTEE__GUESTS__ENABLED", "false");
    let server = setup.start().await;
    server.client().get("/api/personas").await.problem(401, "unauthenticated");
    let ada = somebody(&server, "ada").await;
    assert_eq!(list(&ada.get("/api/personas").await.expect(200)).len(), 6);
}
