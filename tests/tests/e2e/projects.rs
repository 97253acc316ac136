//! Projects with their members and prompts, and conversations in them.

mod family;

use repartee_tests::server::{Answer, Client, Engine, Server, Setup};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    ask, conversation_with, id_of_user, list, on_both_databases, somebody, text, with_root,
};

on_both_databases!(
    each_role_may_what_it_may_and_a_stranger_finds_nothing,
    a_project_is_changed_and_goes_with_its_prompts,
    prompts_are_ordered_switched_and_kept_in_versions,
    the_prompts_of_a_project_shape_its_conversations,
    a_repeated_request_makes_one_project_and_one_prompt,
);

const PROJECTS: &str = "/api/v1/projects";

pub(crate) async fn project(client: &Client) -> String {
    let made = client.post(PROJECTS, &json!({"name": "Tea"})).await;
    made.expect(201);
    made.header("location").to_owned()
}

async fn prompt(client: &Client, project: &str, body: Value) -> Value {
    client.post(&format!("{project}/prompts"), &body).await.expect(201)
}

pub(crate) async fn let_in(owner: &Client, project: &str, somebody: &Client, role: &str) {
    let path = format!("{project}/members/{}", id_of_user(somebody).await);
    let member = owner.put(&path, &json!({"role": role})).await.expect(200);
    assert_eq!(member["role"], role);
}

async fn contents(client: &Client, project: &str) -> Vec<String> {
    let page = client.get(&format!("{project}/prompts")).await.expect(200);
    list(&page["data"]).iter().map(|prompt| text(&prompt["content"]).to_owned()).collect()
}

/// The system message of the last request that the model got.
fn system_message(server: &Server) -> String {
    let asked = server.upstream().requests().pop().expect("the model was asked");
    text(&asked.messages()[0]["content"]).to_owned()
}

async fn each_role_may_what_it_may_and_a_stranger_finds_nothing(setup: Setup) {
    let (server, root) = with_root(setup).await;
    let ada = somebody(&server, "ada").await;
    let (editor, viewer) = (somebody(&server, "eve").await, somebody(&server, "vic").await);
    let stranger = somebody(&server, "stranger").await;
    let path = project(&ada).await;
    let_in(&ada, &path, &editor, "editor").await;
    let_in(&ada, &path, &viewer, "viewer").await;
    let first = prompt(&editor, &path, json!({"content": "First"})).await;
    let one = format!("{path}/prompts/{}", first["id"]);
    let members = format!("{path}/members");

    for (client, role) in [(&ada, "owner"), (&editor, "editor"), (&viewer, "viewer")] {
        assert_eq!(client.get(&path).await.expect(200)["role"], role);
        assert_eq!(list(&client.get(PROJECTS).await.expect(200)["data"]).len(), 1);
        assert_eq!(client.get(&one).await.expect(200)["content"], "First");
    }
    let change = json!({"name": "Te", "content": "Changed", "role": "viewer"});
    viewer.put(&one, &change).await.problem(403, "forbidden");
    viewer.delete(&one).await.problem(403, "forbidden");
    viewer.post(&format!("{path}/prompts"), &change).await.problem(403, "forbidden");
    editor.put(&one, &change).await.expect(200);
    for client in [&editor, &viewer] {
        client.patch(&path, &change).await.problem(403, "forbidden");
        client.delete(&path).await.problem(403, "forbidden");
        client.get(&members).await.problem(403, "forbidden");
        let own = format!("{members}/{}", id_of_user(client).await);
        client.put(&own, &json!({"role": "editor"})).await.problem(403, "forbidden");
        client.delete(&own).await.problem(403, "forbidden");
    }
    // Not even for an administrator.
    for client in [&stranger, &root] {
        for path in [&path, &one, &members, &format!("{one}/versions"), &format!("{path}/prompts")]
        {
            client.get(path).await.problem(404, "project_not_found");
        }
        client.put(&one, &change).await.problem(404, "project_not_found");
        assert_eq!(client.get(PROJECTS).await.expect(200)["data"], json!([]));
    }

    let roles = ada.get(&members).await.expect(200);
    let roles: Vec<_> = list(&roles["data"]).iter().map(|member| text(&member["role"])).collect();
    assert_eq!(roles, ["owner", "editor", "viewer"]);
    let owner = format!("{members}/{}", id_of_user(&ada).await);
    ada.put(&owner, &json!({"role": "viewer"})).await.problem(409, "owner_stays");
    ada.delete(&owner).await.problem(409, "owner_stays");
    let nobody = format!("{members}/01939c2e-7b9a-7000-8000-000000000000");
    ada.put(&nobody, &json!({"role": "viewer"})).await.problem(404, "user_not_found");
    ada.delete(&nobody).await.problem(404, "member_not_found");
    let own = format!("{members}/{}", id_of_user(&viewer).await);
    for wrong in [json!({"role": "owner"}), json!({"role": "x"}), json!({})] {
        let problem = ada.put(&own, &wrong).await.problem(422, "invalid_fields");
        assert_eq!(problem["errors"][0]["field"], "role");
    }
    ada.delete(&own).await.expect(204);
    viewer.get(&path).await.problem(404, "project_not_found");
    for (action, count) in [("project_shared", 2), ("project_unshared", 1)] {
        let told = root.get(&format!("/api/v1/audit-logs?action={action}")).await.expect(200);
        assert_eq!(list(&told["data"]).len(), count, "{action}");
    }
}

async fn a_project_is_changed_and_goes_with_its_prompts(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let path = project(&ada).await;
    let one = prompt(&ada, &path, json!({"content": "First"})).await;
    let tag = ada.get(&path).await.header("etag").to_owned();
    let change = |tag: &str, body: Value| {
        Answer::to(ada.request(Method::PATCH, &path).header("If-Match", tag).json(&body))
    };
    let changed = change(&tag, json!({"name": "Coffee", "description": "Black"})).await;
    assert_eq!(changed.expect(200)["name"], "Coffee");
    change(&tag, json!({"name": "x"})).await.problem(412, "version_mismatch");
    let emptied = ada.patch(&path, &json!({"description": null})).await.expect(200);
    assert_eq!((&emptied["name"], &emptied["description"]), (&json!("Coffee"), &Value::Null));
    for wrong in [json!({"name": " "}), json!({"name": 5}), json!({"name": "x".repeat(201)})] {
        for answer in [ada.patch(&path, &wrong).await, ada.post(PROJECTS, &wrong).await] {
            let problem = answer.problem(422, "invalid_fields");
            assert_eq!(problem["errors"][0]["field"], "name");
        }
    }
    let conversation = conversation_with(&ada, json!({"project_id": emptied["id"]})).await;
    let in_it = format!("/api/v1/conversations?project_id={}", emptied["id"]);
    assert_eq!(list(&ada.get(&in_it).await.expect(200)["data"]).len(), 1);

    ada.delete(&path).await.expect(204);

    ada.get(&path).await.problem(404, "project_not_found");
    ada.get(&format!("{path}/prompts/{}", one["id"])).await.problem(404, "project_not_found");
    assert_eq!(ada.get(&conversation).await.expect(200)["project_id"], Value::Null);
}

async fn prompts_are_ordered_switched_and_kept_in_versions(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let path = project(&ada).await;
    let first = prompt(&ada, &path, json!({"content": "First", "name": "Tone"})).await;
    prompt(&ada, &path, json!({"content": "Second"})).await;
    prompt(&ada, &path, json!({"content": "Zeroth", "position": 0})).await;
    assert_eq!(contents(&ada, &path).await, ["Zeroth", "First", "Second"]);

    let one = format!("{path}/prompts/{}", first["id"]);
    let tag = ada.get(&one).await.header("etag").to_owned();
    let changed = ada.put(&one, &json!({"content": "Last", "position": 9})).await.expect(200);
    assert_eq!((&changed["name"], &changed["version"]), (&json!("Tone"), &json!(2)));
    assert_eq!(contents(&ada, &path).await, ["Zeroth", "Second", "Last"]);
    let stale = ada.request(Method::PUT, &one).header("If-Match", tag);
    Answer::to(stale.json(&json!({"content": "x"}))).await.problem(412, "version_mismatch");
    ada.put(&one, &json!({"is_active": false})).await.expect(200);

    let versions = format!("{one}/versions?limit=2");
    let newest = ada.get(&versions).await.expect(200);
    let next = format!("{versions}&cursor={}", text(&newest["next_cursor"]));
    let oldest = ada.get(&next).await.expect(200);
    let kept = [list(&newest["data"]), list(&oldest["data"])].concat();
    let kept: Vec<_> = kept.iter().map(|kept| (&kept["version"], &kept["content"])).collect();
    let (last, first) = (json!("Last"), json!("First"));
    assert_eq!(kept, [(&json!(3), &last), (&json!(2), &last), (&json!(1), &first)]);

    for (field, wrong) in [
        ("content", json!({"content": " "})),
        ("content", json!({"content": "x".repeat(32_001)})),
        ("position", json!({"content": "x", "position": 1_000_001})),
        ("position", json!({"content": "x", "position": -1})),
        ("name", json!({"content": "x", "name": "x".repeat(201)})),
    ] {
        for answer in
            [ada.put(&one, &wrong).await, ada.post(&format!("{path}/prompts"), &wrong).await]
        {
            let problem = answer.problem(422, "invalid_fields");
            assert_eq!(problem["errors"][0]["field"], field);
        }
    }
    ada.delete(&one).await.expect(204);
    ada.get(&one).await.problem(404, "prompt_not_found");
    let other = project(&ada).await;
    let elsewhere = prompt(&ada, &other, json!({"content": "x"})).await;
    ada.get(&format!("{path}/prompts/{}", elsewhere["id"])).await.problem(404, "prompt_not_found");
}

async fn the_prompts_of_a_project_shape_its_conversations(setup: Setup) {
    let server = setup.with("REPARTEE__REPLIES__SYSTEM_MESSAGE", "Never swear.").start().await;
    let ada = somebody(&server, "ada").await;
    let grace = somebody(&server, "grace").await;
    let path = project(&ada).await;
    let id = ada.get(&path).await.expect(200)["id"].clone();
    let off = prompt(&ada, &path, json!({"content": "Off", "is_active": false})).await;
    prompt(&ada, &path, json!({"content": "Second", "position": 5})).await;
    prompt(&ada, &path, json!({"content": "First", "position": 4})).await;
    for wrong in [id.clone(), json!(99)] {
        let refused = grace.post("/api/v1/conversations", &json!({"project_id": wrong})).await;
        let problem = refused.problem(422, "invalid_fields");
        assert_eq!(problem["errors"][0]["field"], "project_id");
    }
    let_in(&ada, &path, &grace, "viewer").await;
    let about = json!({"project_id": id, "system_message": "Be brief."});
    let conversation = conversation_with(&grace, about).await;
    assert_eq!(grace.get(&conversation).await.expect(200)["project_id"], id);

    ask(&grace, &conversation, "Tea?", "mock-1-0").await.expect(200);
    assert_eq!(system_message(&server), "Never swear.\n\nFirst\n\nSecond\n\nBe brief.");
    let on = json!({"is_active": true});
    ada.put(&format!("{path}/prompts/{}", off["id"]), &on).await.expect(200);
    ask(&grace, &conversation, "Milk?", "mock-1-0").await.expect(200);
    assert_eq!(system_message(&server), "Never swear.\n\nOff\n\nFirst\n\nSecond\n\nBe brief.");

    // Who is let out sees no more of it.
    ada.delete(&format!("{path}/members/{}", id_of_user(&grace).await)).await.expect(204);
    ask(&grace, &conversation, "Sugar?", "mock-1-0").await.expect(200);
    assert_eq!(system_message(&server), "Never swear.\n\nBe brief.");
    let left = grace.patch(&conversation, &json!({"project_id": null})).await.expect(200);
    assert_eq!(left["project_id"], Value::Null);
}

async fn a_repeated_request_makes_one_project_and_one_prompt(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let keyed = |path: &str, body: Value| {
        let request = ada.request(Method::POST, path).header("Idempotency-Key", "k-1");
        Answer::to(request.json(&body))
    };
    let first = keyed(PROJECTS, json!({"name": "Tea"})).await;
    let path = first.header("location").to_owned();
    assert_eq!(keyed(PROJECTS, json!({"name": "Tea"})).await.expect(201), first.expect(201));
    keyed(PROJECTS, json!({"name": "Te"})).await.problem(422, "idempotency_key_reused");

    let prompts = format!("{path}/prompts");
    let one = keyed(&prompts, json!({"content": "x"})).await.expect(201);
    assert_eq!(keyed(&prompts, json!({"content": "x"})).await.expect(201), one);
    // In another project it is another request.
    let other = format!("{}/prompts", project(&ada).await);
    keyed(&other, json!({"content": "x"})).await.problem(422, "idempotency_key_reused");
    ada.delete(&path).await.expect(204);
    keyed(PROJECTS, json!({"name": "Tea"})).await.problem(409, "already_done");
}

#[tokio::test]
async fn a_key_with_the_scope_reads_and_edits_and_shares_nothing() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let path = project(&ada).await;
    for (scopes, reads, edits) in
        [(json!(["chat"]), 200, 201), (json!(["read"]), 200, 403), (json!(["files"]), 403, 403)]
    {
        let key = json!({"name": "a script", "scopes": scopes});
        let key = ada.post("/api/v1/api-keys", &key).await.expect(201);
        let program = server.client().with_token(text(&key["secret"]));
        program.get(&path).await.expect(reads);
        program.post(&format!("{path}/prompts"), &json!({"content": "x"})).await.expect(edits);
        let member = format!("{path}/members/{}", id_of_user(&ada).await);
        program.put(&member, &json!({"role": "viewer"})).await.problem(403, "not_for_keys");
    }
}
