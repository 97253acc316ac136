//! Personas over the wire.

use actix_web::test::TestRequest;
use repartee_application::{
    Page,
    ports::{Made, PersonaFilter},
};
use repartee_domain::{
    PersonaId, Version,
    accounts::Role,
    personas::{Character, CharacterChanges, Persona},
};
use serde_json::json;

use crate::fixture::{Fixture, NOW, USER, as_user};

fn persona() -> Persona {
    let wish = CharacterChanges {
        name: Some("Pirate".into()),
        system_prompt: Some("Talk like a pirate.".into()),
        icon: Some(Some("🏴‍☠️".into())),
        ..CharacterChanges::default()
    };
    Persona {
        id: PersonaId::new(7),
        character: Character::make(wish).unwrap(),
        created_at: NOW,
        updated_at: NOW,
        version: Version::FIRST,
    }
}

fn holding(role: Role) -> Fixture {
    let mut fixture = Fixture { role: Some(role), ..Fixture::default() };
    fixture.personas.expect_find().returning(|id| Ok((id == persona().id).then(persona)));
    fixture
}

#[actix_web::test]
async fn a_manager_reads_all_of_a_persona() {
    let request = TestRequest::get().uri("/api/v1/personas/7");
    let answer = holding(Role::Manager).answer(as_user(request)).await;

    assert_eq!((answer.status, answer.header("etag")), (200, Some("\"1\"")));
    insta::assert_json_snapshot!(answer.body, @r#"
    {
      "created_at": "2027-01-15T08:00:00.123456Z",
      "description": null,
      "expertise": null,
      "icon": "🏴‍☠️",
      "id": 7,
      "is_active": true,
      "name": "Pirate",
      "system_prompt": "Talk like a pirate.",
      "updated_at": "2027-01-15T08:00:00.123456Z"
    }
    "#);
}

#[actix_web::test]
async fn anybody_else_reads_it_without_its_prompt() {
    for path in ["/api/v1/personas/7", "/api/personas/7"] {
        let nobody = holding(Role::User).answer(TestRequest::get().uri(path)).await;
        let user = holding(Role::User).answer(as_user(TestRequest::get().uri(path))).await;
        for answer in [nobody, user] {
            assert_eq!((answer.status, &answer.body["name"]), (200, &json!("Pirate")));
            assert!(answer.body.get("system_prompt").is_none(), "{}", answer.body);
        }
    }
}

#[actix_web::test]
async fn the_catalogue_is_a_page_or_an_array() {
    for (path, limit) in [("/api/v1/personas?limit=1", 1), ("/api/personas", 200)] {
        let mut fixture = Fixture::default();
        fixture
            .personas
            .expect_list()
            .withf(move |filter, page| {
                *filter == PersonaFilter { is_active: Some(true) }
                    && (page.limit, page.after) == (limit, None)
            })
            .returning(|_, _| Ok(Page { items: vec![persona()], next: Some(persona().id) }));
        let answer = fixture.answer(TestRequest::get().uri(path)).await;
        let Some(cursor) = answer.body["next_cursor"].as_str() else {
            assert_eq!(answer.body[0]["id"], 7);
            continue;
        };
        assert_eq!(answer.body["data"][0]["id"], 7);
        let mut fixture = Fixture::default();
        fixture
            .personas
            .expect_list()
            .withf(|_, page| page.after == Some(PersonaId::new(7)))
            .returning(|_, _| Ok(Page { items: vec![], next: None }));
        let uri = format!("{path}&cursor={cursor}");
        let answer = fixture.answer(TestRequest::get().uri(&uri)).await;
        assert_eq!(answer.body, json!({"data": [], "next_cursor": null}));
    }
}

#[actix_web::test]
async fn a_new_persona_says_where_it_is() {
    let mut fixture = Fixture { role: Some(Role::Manager), ..Fixture::default() };
    fixture
        .personas
        .expect_insert()
        .withf(|character, _, _, maker, _, _| *character == persona().character && *maker == USER)
        .returning(|_, _, _, _, _, _| Ok(Some(Made::Now(persona()))));
    let body = json!({"name": "Pirate", "system_prompt": "Talk like a pirate.", "icon": "🏴‍☠️"});
    let request = TestRequest::post().uri("/api/v1/personas").set_json(body);

    let answer = fixture.answer(as_user(request)).await;

    assert_eq!((answer.status, answer.header("location")), (201, Some("/api/v1/personas/7")));
    assert_eq!((answer.header("etag"), &answer.body["id"]), (Some("\"1\""), &json!(7)));
}

#[actix_web::test]
async fn null_empties_a_field_and_an_old_entity_tag_is_refused() {
    let mut fixture = holding(Role::Admin);
    fixture
        .personas
        .expect_save()
        .withf(|saved, _| saved.character == Character { icon: None, ..persona().character })
        .once()
        .returning(|saved, _| Ok(saved));
    let put = || TestRequest::put().uri("/api/v1/personas/7").set_json(json!({"icon": null}));
    assert_eq!(fixture.answer(as_user(put())).await.status, 200);

    let stale = put().insert_header(("if-match", "\"9\""));
    let answer = holding(Role::Admin).answer(as_user(stale)).await;
    assert_eq!((answer.status, &answer.body["code"]), (412, &json!("version_mismatch")));
}

#[actix_web::test]
async fn what_no_id_could_be_is_not_there() {
    for id in ["0", "8", "-1", "seven", "7.0", "99999999999999999999", "%00"] {
        for request in [
            TestRequest::get().uri(&format!("/api/v1/personas/{id}")),
            TestRequest::get().uri(&format!("/api/personas/{id}")),
            TestRequest::put().uri(&format!("/api/v1/personas/{id}")).set_json(json!({"name": 5})),
        ] {
            let answer = holding(Role::Admin).answer(as_user(request)).await;
            assert_eq!(answer.status, 404, "{id}");
            assert_eq!(answer.body["code"], "persona_not_found");
        }
    }
}
