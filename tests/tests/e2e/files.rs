//! Files of projects: who may what, what is taken, and where the bytes are.

mod bytes;
mod stores;

use repartee_tests::server::{Answer, Client, Engine, Server, Setup};
use serde_json::{Value, json};

use crate::{
    projects::{let_in, project},
    support::{
        form, form_request, id_of, id_of_user, list, on_both_databases, somebody, text, upload,
    },
};

on_both_databases!(
    each_role_may_what_it_may_and_a_stranger_finds_nothing,
    clients_of_a_backend_with_projects_find_the_same_files,
    files_come_newest_first_page_by_page,
    a_repeated_upload_makes_one_file,
);

/// The names of what is in the folder of the files.
fn kept(server: &Server) -> Vec<String> {
    let folder = std::fs::read_dir(server.site.directory().join("files")).unwrap();
    folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Whether an object in the folder has all of its bytes.
fn is_whole(name: &str) -> bool {
    name.parse::<uuid::Uuid>().is_ok()
}

async fn names(client: &Client, path: &str) -> Vec<String> {
    let page = client.get(path).await.expect(200);
    let files = if page.is_array() { &page } else { &page["data"] };
    list(files).iter().map(|file| text(&file["name"]).to_owned()).collect()
}

async fn each_role_may_what_it_may_and_a_stranger_finds_nothing(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let (editor, viewer) = (somebody(&server, "eve").await, somebody(&server, "vic").await);
    let stranger = somebody(&server, "stranger").await;
    let project = project(&ada).await;
    let_in(&ada, &project, &editor, "editor").await;
    let_in(&ada, &project, &viewer, "viewer").await;
    let files = format!("{project}/files");

    let uploaded = upload(&editor, &files, "green tea.md", "# ชา".as_bytes()).await;
    let file = uploaded.expect(201);
    let one = uploaded.header("location").to_owned();
    let content = format!("{one}/content");
    let expected = json!({
        "id": file["id"],
        "project_id": id_of(&project).parse::<i64>().unwrap(),
        "name": "green tea.md",
        "content_type": "text/markdown",
        "bytes": 8,
        "sha256": file["sha256"],
        "created_at": file["created_at"],
        "created_by": id_of_user(&editor).await,
    });
    assert_eq!((&file, text(&file["sha256"]).len()), (&expected, 64));
    for client in [&ada, &editor, &viewer] {
        assert_eq!(client.get(&one).await.expect(200), file);
        assert_eq!(names(client, &files).await, ["green tea.md"]);
        let answer = client.get(&content).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "# ชา"));
        assert_eq!(answer.header("content-length"), "8");
    }
    upload(&viewer, &files, "x", b"x").await.problem(403, "forbidden");
    viewer.delete(&one).await.problem(403, "forbidden");
    for path in [&files, &one, &content] {
        stranger.get(path).await.problem(404, "project_not_found");
    }
    upload(&stranger, &files, "x", b"x").await.problem(404, "project_not_found");
    stranger.delete(&one).await.problem(404, "project_not_found");
    // A file is found in its project alone.
    let other = crate::projects::project(&stranger).await;
    let elsewhere = format!("{other}/files/{}", file["id"]);
    stranger.get(&elsewhere).await.problem(404, "file_not_found");
    stranger.delete(&elsewhere).await.problem(404, "file_not_found");

    editor.delete(&one).await.expect(204);
    for path in [&one, &content] {
        ada.get(path).await.problem(404, "file_not_found");
    }
    editor.delete(&one).await.problem(404, "file_not_found");
}

async fn clients_of_a_backend_with_projects_find_the_same_files(setup: Setup) {
    let server = setup.start().await;
    let (ada, stranger) = (somebody(&server, "ada").await, somebody(&server, "grace").await);
    let project = project(&ada).await;
    let files = format!("/projects/{}/files", id_of(&project));

    let first = upload(&ada, &files, "tea.csv", b"green,black").await.expect(201);
    upload(&ada, &format!("{project}/files"), "tea.txt", b"Tea").await.expect(201);

    assert_eq!(names(&ada, &files).await, ["tea.txt", "tea.csv"]);
    let one = format!("/projects/files/{}", first["id"]);
    assert_eq!(ada.get(&one).await.text(), "green,black");
    stranger.get(&files).await.problem(404, "project_not_found");
    stranger.get(&one).await.problem(404, "file_not_found");
    stranger.delete(&one).await.problem(404, "file_not_found");
    upload(&stranger, &files, "x", b"x").await.problem(404, "project_not_found");
    ada.delete(&one).await.expect(204);
    ada.get(&one).await.problem(404, "file_not_found");
}

async fn files_come_newest_first_page_by_page(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let files = format!("{}/files", project(&ada).await);
    for n in 0..5 {
        upload(&ada, &files, &format!("{n}"), b"x").await.expect(201);
    }
    let mut seen = Vec::new();
    let mut next = format!("{files}?limit=2");
    loop {
        let page = ada.get(&next).await.expect(200);
        seen.extend(list(&page["data"]).iter().map(|file| text(&file["name"]).to_owned()));
        let Value::String(cursor) = &page["next_cursor"] else { break };
        next = format!("{files}?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["4", "3", "2", "1", "0"]);
}

async fn a_repeated_upload_makes_one_file(setup: Setup) {
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let project = project(&ada).await;
    let files = format!("{project}/files");
    let keyed = |name: &str, bytes: &[u8]| {
        let request = form_request(&ada, &files).header("Idempotency-Key", "k-1");
        Answer::to(request.body(form(name, bytes)))
    };

    let first = keyed("tea", b"Tea").await.expect(201);

    assert_eq!(keyed("tea", b"Tea").await.expect(201), first);
    keyed("tea", b"Coffee").await.problem(422, "idempotency_key_reused");
    keyed("coffee", b"Tea").await.problem(422, "idempotency_key_reused");
    assert_eq!(names(&ada, &files).await, ["tea"]);
    ada.delete(&format!("{files}/{}", first["id"])).await.expect(204);
    keyed("tea", b"Tea").await.problem(409, "already_done");
}

#[tokio::test]
async fn somebody_uploads_so_many_files_a_minute() {
    let setup = Setup::on(Engine::Sqlite).with("REPARTEE__LIMITS__UPLOADS_PER_MINUTE", "2");
    let server = setup.start().await;
    let ada = somebody(&server, "ada").await;
    let files = format!("{}/files", project(&ada).await);
    for _ in 0..2 {
        upload(&ada, &files, "tea", b"Tea").await.expect(201);
    }
    let refused = upload(&ada, &files, "tea", b"Tea").await;
    refused.problem(429, "rate_limited");
    assert!(refused.header("ratelimit-policy").contains("\"uploads\";q=2;w=60"));
    assert_eq!(names(&ada, &files).await.len(), 2);
    let grace = somebody(&server, "grace").await;
    let others = format!("{}/files", project(&grace).await);
    upload(&grace, &others, "tea", b"Tea").await.expect(201);
}

#[tokio::test]
async fn a_key_with_the_scope_uploads_and_one_that_reads_reads() {
    let server = Setup::on(Engine::Sqlite).start().await;
    let ada = somebody(&server, "ada").await;
    let files = format!("{}/files", project(&ada).await);
    for (scopes, uploads, reads) in
        [(json!(["files"]), 201, 200), (json!(["read"]), 403, 200), (json!(["chat"]), 403, 403)]
    {
        let key = json!({"name": "a script", "scopes": scopes});
        let key = ada.post("/api/v1/api-keys", &key).await.expect(201);
        let program = server.client().with_token(text(&key["secret"]));
        upload(&program, &files, "tea", b"Tea").await.expect(uploads);
        program.get(&files).await.expect(reads);
    }
}
