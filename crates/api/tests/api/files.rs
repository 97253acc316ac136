//! Files over the wire.

use actix_web::{http::header::CONTENT_TYPE, test::TestRequest};
use repartee_application::{
    Page,
    ports::{JoinedProject, Made, NewFile},
};
use repartee_domain::{
    FileId, ObjectKey, ProjectId, Version,
    files::{Content, File, FileName},
    projects::{Project, ProjectRole, Purpose},
};
use serde_json::json;
use uuid::Uuid;

use crate::fixture::{Answer, Fixture, NOW, USER, as_user};

const PROJECT: ProjectId = ProjectId::new(7);
const ID: FileId = FileId::new(8);
const FILES: &str = "/api/v1/projects/7/files";

fn file(name: &str, media_type: &str) -> File {
    let content = Content {
        name: FileName::shown(name),
        media_type: media_type.into(),
        bytes: 3,
        sha256: [0xab; 32],
        object: ObjectKey::from_uuid(Uuid::from_u128(5)),
    };
    File { id: ID, project: PROJECT, owner: USER, content, created_at: NOW }
}

/// The one project, of which the user is a member, with its one file.
fn holding(role: ProjectRole) -> Fixture {
    with(role, file("ชา.html", "text/html"))
}

fn with(role: ProjectRole, file: File) -> Fixture {
    let mut fixture = Fixture::default();
    fixture.projects.expect_find().returning(move |user, id| {
        let project = Project {
            id: PROJECT,
            owner: USER,
            purpose: Purpose { name: "Tea".into(), description: None },
            created_at: NOW,
            updated_at: NOW,
            version: Version::FIRST,
        };
        Ok((user == USER && id == PROJECT).then_some(JoinedProject { project, role }))
    });
    fixture.files.expect_find().returning(move |id| Ok((id == ID).then(|| file.clone())));
    fixture.objects.keep(ObjectKey::from_uuid(Uuid::from_u128(5)), b"Tea");
    fixture
}

/// As [`holding`], for an upload that is stored, or that comes to nothing.
fn taking(is_stored: bool) -> Fixture {
    let mut fixture = holding(ProjectRole::Editor);
    fixture.ledger.expect_reserve().once().returning(|_, _| Ok(()));
    fixture.ledger.expect_release().times(usize::from(!is_stored)).returning(|_, _| Ok(()));
    fixture
        .files
        .expect_insert()
        .times(usize::from(is_stored))
        .returning(|file, _, _| Ok(Some(Made::Now(stored(file)))));
    fixture
}

fn stored(file: NewFile) -> File {
    let NewFile { project, owner, content, now, .. } = file;
    File { id: ID, project, owner, content, created_at: now }
}

fn part(field: &str, name: &str, bytes: &str) -> String {
    format!(
        "--x\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\nContent-Type: image/png\r\n\r\n{bytes}\r\n"
    )
}

fn form(parts: &[String]) -> TestRequest {
    let request = TestRequest::post().uri(FILES);
    as_user(request)
        .insert_header((CONTENT_TYPE, "multipart/form-data; boundary=x"))
        .set_payload(format!("{}--x--\r\n", parts.concat()))
}

fn refused(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["code"].as_str().unwrap_or("fine"))
}

#[actix_web::test]
async fn an_upload_is_told_what_it_is() {
    let fixture = taking(true);
    let objects = fixture.objects.clone();
    let about = part("about", "no file", "");
    let answer = fixture.answer(form(&[about, part("file", "a/b/tea.md", "# Tea")])).await;

    assert_eq!(
        (answer.status, answer.header("location")),
        (201, Some("/api/v1/projects/7/files/8"))
    );
    assert!(objects.all().contains(&b"# Tea".to_vec()));
    insta::assert_json_snapshot!(answer.body, @r#"
    {
      "bytes": 5,
      "content_type": "text/markdown",
      "created_at": "2027-01-15T08:00:00.123456Z",
      "created_by": "00000000-0000-0000-0000-000000000001",
      "id": 8,
      "name": "tea.md",
      "project_id": 7,
      "sha256": "19497229a110608de996376ae65de6531c33da696da84f3490b16f1b93110751"
    }
    "#);
}

#[actix_web::test]
async fn what_is_no_upload_is_refused_and_nothing_of_it_stays() {
    let large = "x".repeat(32 * 1024 + 1);
    for (parts, expected) in [
        (vec![part("file", "a", "Tea"), part("file", "b", "Tea")], (422, "invalid_fields")),
        (vec![part("file", "a", "")], (422, "invalid_fields")),
        (vec![part("file", "a", &large)], (413, "body_too_large")),
    ] {
        let answer = taking(false).answer(form(&parts)).await;
        assert_eq!(refused(&answer), expected, "{parts:?}");
    }
    // Nothing is begun where there is no file at all.
    for (request, expected) in [
        (form(&[part("data", "a", "Tea")]), (422, "invalid_fields")),
        (form(&[]), (422, "invalid_fields")),
        (form(&[]).set_payload("--x\r\nno header at all\r\n\r\n"), (400, "malformed_form")),
        (form(&[]).set_payload("nothing"), (400, "body_incomplete")),
        (
            form(&[]).insert_header((CONTENT_TYPE, "application/json")),
            (415, "unsupported_media_type"),
        ),
        (form(&[]).insert_header(("content-length", "99999999")), (413, "body_too_large")),
    ] {
        let answer = holding(ProjectRole::Editor).answer(request).await;
        assert_eq!(refused(&answer), expected);
    }
}

#[actix_web::test]
async fn a_body_that_is_cut_off_makes_no_file() {
    let whole = format!("{}--x--\r\n", part("file", "a", "Tea and more"));
    let cut = whole.len() - 12;
    let answer = taking(false).answer(form(&[]).set_payload(whole[..cut].to_owned())).await;
    assert_eq!(refused(&answer), (400, "body_incomplete"));
}

#[actix_web::test]
async fn whoever_may_not_upload_is_told_before_a_bad_body() {
    let answer = holding(ProjectRole::Viewer).answer(form(&[])).await;
    assert_eq!(refused(&answer), (403, "forbidden"));
    let elsewhere = form(&[]).uri("/api/v1/projects/9/files");
    assert_eq!(
        refused(&holding(ProjectRole::Owner).answer(elsewhere).await),
        (404, "project_not_found")
    );
}

#[actix_web::test]
async fn a_file_is_saved_and_never_run() {
    for path in ["/api/v1/projects/7/files/8/content", "/projects/files/8"] {
        let request = as_user(TestRequest::get().uri(path));
        let answer = holding(ProjectRole::Viewer).answer(request).await;
        assert_eq!(answer.status, 200);
        for (name, value) in [
            ("content-type", "text/html"),
            (
                "content-disposition",
                "attachment; filename=\"__.html\"; filename*=UTF-8''%E0%B8%8A%E0%B8%B2.html",
            ),
            ("content-security-policy", "default-src 'none'; sandbox"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "private, no-cache"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let tag = answer.header("etag").unwrap().to_owned();
        assert_eq!(tag, format!("\"{}\"", "ab".repeat(32)));
        let again = as_user(TestRequest::get().uri(path)).insert_header(("if-none-match", tag));
        assert_eq!(holding(ProjectRole::Viewer).answer(again).await.status, 304);
        let request = as_user(TestRequest::get().uri(path));
        assert_eq!(holding(ProjectRole::Viewer).text(request).await, (200, "Tea".into()));
    }
}

#[actix_web::test]
async fn what_is_no_id_is_not_there() {
    for path in ["/api/v1/projects/7/files/9", "/api/v1/projects/7/files/x", "/projects/files/0x8"]
    {
        let answer =
            holding(ProjectRole::Owner).answer(as_user(TestRequest::get().uri(path))).await;
        assert_eq!(refused(&answer), (404, "file_not_found"), "{path}");
    }
}

#[actix_web::test]
async fn earlier_clients_get_the_files_as_one_array() {
    let mut fixture = holding(ProjectRole::Viewer);
    fixture
        .files
        .expect_list()
        .withf(|project, page| (*project, page.limit, page.after) == (PROJECT, 1_000, None))
        .returning(|_, _| Ok(Page { items: vec![file("tea", "text/plain")], next: None }));
    let request = as_user(TestRequest::get().uri("/projects/7/files"));
    let answer = fixture.answer(request).await;
    assert_eq!((answer.status, &answer.body[0]["name"]), (200, &json!("tea")));
}
