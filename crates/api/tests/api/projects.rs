//! Projects over the wire.

use actix_web::test::TestRequest;
use repartee_application::{
    Page,
    ports::{JoinedProject, PromptKey},
};
use repartee_domain::{
    ProjectId, PromptId, Version,
    projects::{Project, ProjectRole, Prompt, PromptText, PromptVersion, Purpose},
};
use serde_json::json;

use crate::fixture::{Fixture, NOW, USER, as_user};

const ID: ProjectId = ProjectId::new(7);

fn prompt() -> Prompt {
    Prompt {
        id: PromptId::new(8),
        project: ID,
        text: PromptText { name: Some("Tone".into()), content: "Be brief.".into() },
        position: 3,
        is_active: true,
        created_at: NOW,
        updated_at: NOW,
        version: Version::FIRST,
    }
}

/// The one project, of which the user is a member, with its one prompt.
fn holding(role: ProjectRole) -> Fixture {
    let mut fixture = Fixture::default();
    fixture.projects.expect_find().returning(move |user, id| {
        let project = Project {
            id: ID,
            owner: USER,
            purpose: Purpose { name: "Tea".into(), description: None },
            created_at: NOW,
            updated_at: NOW,
            version: Version::FIRST,
        };
        Ok((user == USER && id == ID).then_some(JoinedProject { project, role }))
    });
    fixture.prompts.expect_find().returning(|id| Ok((id == prompt().id).then(prompt)));
    fixture
}

#[actix_web::test]
async fn a_project_says_what_one_is_in_it() {
    let request = TestRequest::get().uri("/api/v1/projects/7");
    let answer = holding(ProjectRole::Editor).answer(as_user(request)).await;

    assert_eq!((answer.status, answer.header("etag")), (200, Some("\"1\"")));
    insta::assert_json_snapshot!(answer.body, @r#"
    {
      "created_at": "2027-01-15T08:00:00.123456Z",
      "description": null,
      "id": 7,
      "name": "Tea",
      "owner_id": "00000000-0000-0000-0000-000000000001",
      "role": "editor",
      "updated_at": "2027-01-15T08:00:00.123456Z"
    }
    "#);
}

#[actix_web::test]
async fn a_prompt_is_shown_as_it_is() {
    let request = TestRequest::get().uri("/api/v1/projects/7/prompts/8");
    let answer = holding(ProjectRole::Viewer).answer(as_user(request)).await;

    assert_eq!((answer.status, answer.header("etag")), (200, Some("\"1\"")));
    insta::assert_json_snapshot!(answer.body, @r#"
    {
      "content": "Be brief.",
      "created_at": "2027-01-15T08:00:00.123456Z",
      "id": 8,
      "is_active": true,
      "name": "Tone",
      "position": 3,
      "project_id": 7,
      "updated_at": "2027-01-15T08:00:00.123456Z",
      "version": 1
    }
    "#);
}

#[actix_web::test]
async fn prompts_are_a_page_or_an_array() {
    let key = PromptKey { position: 3, id: prompt().id };
    for (path, limit) in [("/api/v1/projects/7/prompts?limit=1", 1), ("/projects/7/prompts", 100)] {
        let mut fixture = holding(ProjectRole::Viewer);
        fixture
            .prompts
            .expect_list()
            .withf(move |project, page| (*project, page.limit, page.after) == (ID, limit, None))
            .returning(move |_, _| Ok(Page { items: vec![prompt()], next: Some(key) }));
        let answer = fixture.answer(as_user(TestRequest::get().uri(path))).await;
        let Some(cursor) = answer.body["next_cursor"].as_str() else {
            assert_eq!(answer.body[0]["id"], 8);
            continue;
        };
        let mut fixture = holding(ProjectRole::Viewer);
        fixture
            .prompts
            .expect_list()
            .withf(move |_, page| page.after == Some(key))
            .returning(|_, _| Ok(Page { items: vec![], next: None }));
        let uri = format!("{path}&cursor={cursor}");
        let answer = fixture.answer(as_user(TestRequest::get().uri(&uri))).await;
        assert_eq!(answer.body, json!({"data": [], "next_cursor": null}));
    }
}

#[actix_web::test]
async fn versions_come_page_by_page() {
    let mut fixture = holding(ProjectRole::Viewer);
    fixture
        .prompts
        .expect_versions()
        .withf(|id, page| *id == prompt().id && page.after == Some(Version::new(5)))
        .returning(|_, _| {
            let text = prompt().text;
            let version =
                PromptVersion { version: Version::new(4), text, changed_by: None, at: NOW };
            Ok(Page { items: vec![version], next: None })
        });
    let uri = "/api/v1/projects/7/prompts/8/versions?cursor=AAAABQ";
    let answer = fixture.answer(as_user(TestRequest::get().uri(uri))).await;
    let version = &answer.body["data"][0];
    assert_eq!((&version["version"], &version["changed_by"]), (&json!(4), &json!(null)));
}

#[actix_web::test]
async fn a_missing_thing_is_told_before_a_bad_body() {
    let bad = json!({"name": 5, "content": 5, "role": 5});
    for (request, code) in [
        (TestRequest::patch().uri("/api/v1/projects/9"), "project_not_found"),
        (TestRequest::post().uri("/api/v1/projects/9/prompts"), "project_not_found"),
        (TestRequest::post().uri("/projects/nine/prompts"), "project_not_found"),
        (TestRequest::put().uri("/api/v1/projects/9/prompts/8"), "project_not_found"),
        (TestRequest::put().uri("/api/v1/projects/7/prompts/9"), "prompt_not_found"),
        (TestRequest::put().uri("/projects/prompts/9"), "prompt_not_found"),
        (TestRequest::put().uri("/projects/prompts/nine"), "prompt_not_found"),
        (TestRequest::put().uri("/api/v1/projects/9/members/x"), "user_not_found"),
    ] {
        let answer = holding(ProjectRole::Owner).answer(as_user(request.set_json(&bad))).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (404, Some(code)));
    }
}

#[actix_web::test]
async fn who_may_not_is_told_and_who_is_no_member_is_not() {
    for (role, code) in [(ProjectRole::Viewer, "forbidden"), (ProjectRole::Editor, "forbidden")] {
        let request = TestRequest::patch().uri("/api/v1/projects/7").set_json(json!({"name": "x"}));
        let answer = holding(role).answer(as_user(request)).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (403, Some(code)));
    }
    let request = TestRequest::delete().uri("/api/v1/projects/8");
    let answer = holding(ProjectRole::Owner).answer(as_user(request)).await;
    assert_eq!((answer.status, answer.body["code"].as_str()), (404, Some("project_not_found")));
}
