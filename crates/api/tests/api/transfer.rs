//! Conversations as files, over the wire.

use std::sync::{Arc, Mutex};

use actix_web::test::TestRequest;
use repartee_application::{
    Page,
    ports::{Branch, Brought, PortError},
};
use repartee_domain::{
    MessageCode, MessageId, Text,
    conversations::Conversation,
    messages::{Message, MessageRole, Writing},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{CONVERSATION, Fixture, NOW, as_user, conversation};

fn message(n: u128, role: MessageRole, content: &str) -> Message {
    let code: MessageCode = "ABCDEFGHIJ".parse().unwrap();
    let id = MessageId::from_uuid(Uuid::from_u128(n));
    let content = Text::parse(content.into(), 100).unwrap();
    Message::said(id, code, CONVERSATION, None, role, content, NOW)
}

fn reply() -> Message {
    let writing = Some(Writing::elsewhere("small".into()));
    Message { writing, ..message(21, MessageRole::Assistant, "Green.\n\n\"茶\"") }
}

/// Two messages, in two portions.
fn holding() -> Fixture {
    let mut fixture = Fixture::default();
    fixture.conversations.expect_find().returning(|_, _| Ok(Some(conversation())));
    fixture.messages.expect_list().returning(|_, id, _, _, page| {
        assert_eq!(id, CONVERSATION.into());
        let question = message(20, MessageRole::User, "Which tea?");
        Ok(Some(match page.after {
            None => Page { next: Some(question.id), items: vec![question] },
            Some(after) => {
                assert_eq!(after, question.id);
                Page { items: vec![reply()], next: None }
            }
        }))
    });
    fixture
}

fn export(query: &str) -> TestRequest {
    as_user(TestRequest::get()).uri(&format!("/api/v1/conversations/{CONVERSATION}/export{query}"))
}

#[actix_web::test]
async fn a_conversation_is_a_file_of_its_own_format() {
    let answer = holding().answer(export("")).await;

    assert_eq!(answer.status, 200);
    let name = answer.header("content-disposition");
    assert_eq!(name, Some("attachment; filename=\"Tea.json\""));
    insta::assert_json_snapshot!(answer.body, @r#"
    {
      "conversation": {
        "created_at": "2027-01-15T08:00:00.123456Z",
        "ended_at": null,
        "id": "00000000-0000-0000-0000-000000000002",
        "metadata": {
          "a": 1
        },
        "model": null,
        "status": "active",
        "system_message": null,
        "title": "Tea",
        "updated_at": "2027-01-15T08:00:00.123456Z"
      },
      "format": "repartee.conversation",
      "messages": [
        {
          "content": "Which tea?",
          "created_at": "2027-01-15T08:00:00.123456Z",
          "id": "00000000-0000-0000-0000-000000000014",
          "model": null,
          "parent_id": null,
          "role": "user",
          "status": "complete"
        },
        {
          "content": "Green.\n\n\"茶\"",
          "created_at": "2027-01-15T08:00:00.123456Z",
          "id": "00000000-0000-0000-0000-000000000015",
          "model": "small",
          "parent_id": "00000000-0000-0000-0000-000000000014",
          "role": "assistant",
          "status": "complete"
        }
      ],
      "version": 1
    }
    "#);
}

#[actix_web::test]
async fn what_begins_a_tree_follows_nothing() {
    let mut fixture = Fixture::default();
    let branched = Conversation { is_branched: true, ..conversation() };
    fixture.conversations.expect_find().returning(move |_, _| Ok(Some(branched.clone())));
    fixture.messages.expect_list().returning(|_, _, branch, _, _| {
        assert_eq!(branch, Branch::All);
        let roots = [20, 21].map(|n| message(n, MessageRole::User, "Which tea?"));
        Ok(Some(Page { items: roots.to_vec(), next: None }))
    });
    let exported = fixture.answer(export("")).await.body;
    assert_eq!(exported["messages"][1]["parent_id"], json!(null));

    let (_, _, stored) = import(exported).await;

    assert!(stored[0].conversation.is_branched);
    assert!(stored[0].messages.iter().all(|message| message.parent.is_none()));
}

#[actix_web::test]
async fn in_markdown_it_is_there_to_be_read() {
    let (status, text) = holding().text(export("?format=markdown")).await;

    assert_eq!(status, 200);
    insta::assert_snapshot!(text, @r#"
    # Tea

    ## User

    *2027-01-15 08:00 UTC*

    Which tea?

    ## Assistant (small)

    *2027-01-15 08:00 UTC*

    Green.

    "茶"
    "#);
}

#[actix_web::test]
async fn a_name_that_is_not_ascii_is_given_twice() {
    let mut fixture = Fixture::default();
    fixture.conversations.expect_find().returning(|_, _| {
        let mut conversation = conversation();
        conversation.subject.title = Some("Grüner \"Tee\"\r\n/茶".into());
        Ok(Some(conversation))
    });
    let nothing = || Page { items: vec![], next: None };
    fixture.messages.expect_list().returning(move |_, _, _, _, _| Ok(Some(nothing())));

    let answer = fixture.answer(export("?format=json")).await;

    assert_eq!(
        answer.header("content-disposition"),
        Some(
            "attachment; filename=\"Gr_ner Tee _.json\"; \
             filename*=UTF-8''Gr%C3%BCner%20Tee%20%E8%8C%B6.json"
        )
    );
    assert_eq!(answer.body["messages"], json!([]));
}

#[actix_web::test]
async fn a_format_that_nobody_knows_is_refused() {
    let answer = holding().answer(export("?format=docx")).await;
    assert_eq!((answer.status, &answer.body["errors"][0]["field"]), (422, &json!("format")));
}

#[actix_web::test]
async fn what_cannot_be_read_to_its_end_is_cut_off() {
    let mut fixture = Fixture::default();
    fixture.conversations.expect_find().returning(|_, _| Ok(Some(conversation())));
    fixture.messages.expect_list().returning(|_, _, _, _, page| {
        if page.after.is_some() {
            return Err(PortError::Unavailable("it is away".into()));
        }
        let question = message(20, MessageRole::User, "Which tea?");
        Ok(Some(Page { next: Some(question.id), items: vec![question] }))
    });
    fixture.cut_off(export("")).await;
}

/// What is stored of a file.
async fn import(file: Value) -> (u16, Value, Vec<Brought>) {
    let stored = Arc::new(Mutex::new(Vec::new()));
    let mut fixture = Fixture::default();
    let told = Arc::clone(&stored);
    fixture.transfers.expect_insert().returning(move |brought, _, now| {
        assert_eq!(now, NOW);
        told.lock().unwrap().push(brought);
        Ok(None)
    });
    let request = as_user(TestRequest::post()).uri("/api/v1/conversations/import");
    let answer = fixture.answer(request.set_json(file)).await;
    let stored = stored.lock().unwrap().clone();
    (answer.status, answer.body, stored)
}

#[actix_web::test]
async fn what_was_exported_is_stored_as_it_was() {
    let exported = holding().answer(export("")).await.body;

    let (status, answer, stored) = import(exported).await;

    assert_eq!((status, &answer["data"][0]["messages"]), (201, &json!(2)));
    let Brought { conversation: imported, messages } = &stored[0];
    let expected = conversation();
    assert_eq!(imported.subject, expected.subject);
    assert_eq!((imported.created_at, imported.updated_at), (NOW, NOW));
    assert_ne!(imported.id, expected.id);
    assert_eq!(messages[1].content, reply().content);
    assert_eq!(messages[1].writing, reply().writing);
    assert_eq!(messages[1].parent, Some(messages[0].id));
}

#[actix_web::test]
async fn a_file_may_be_as_short_as_this() {
    let said = |role: &str| json!({"role": role, "content": "Tea"});
    let file = json!({
        "format": "repartee.conversation", "version": 1, "conversation": {},
        "messages": [said("system"), said("user"), said("assistant")],
    });
    let (status, answer, stored) = import(json!([file])).await;

    assert_eq!(status, 201, "{answer}");
    let [system, question, reply] = &stored[0].messages[..] else { panic!("{stored:?}") };
    assert_eq!((system.parent, question.parent), (None, None));
    assert_eq!((reply.parent, reply.created_at), (Some(question.id), NOW));
}

#[actix_web::test]
async fn nothing_that_belongs_to_somebody_else_is_taken_over() {
    let (_, _, stored) = import(json!({
        "format": "repartee.conversation", "version": 1,
        "conversation": {
            "id": Uuid::from_u128(5), "owner_id": Uuid::from_u128(6), "code": "ZZZZZZZZZZZZ",
            "persona_id": 1, "project_id": 1,
        },
        "messages": [{"role": "assistant", "content": "Tea", "model": "m", "cost_micros": 5,
            "generation_id": Uuid::from_u128(7), "prompt_tokens": 5}],
    }))
    .await;
    let Brought { conversation, messages } = &stored[0];
    assert!(conversation.subject.shape.is_plain());
    assert_ne!(conversation.id.as_uuid(), Uuid::from_u128(5));
    assert_eq!(messages[0].writing, Some(Writing::elsewhere("m".into())));
}

#[actix_web::test]
async fn what_is_wrong_with_a_file_is_told() {
    let file = |version: u32, about: Value, message: Value| {
        json!({"format": "repartee.conversation", "version": version, "conversation": about,
            "messages": [message]})
    };
    let good = || json!({"role": "user", "content": "Tea"});
    for (file, field, code) in [
        (file(2, json!({}), good()), "version", "unknown_format"),
        (file(1, json!({"title": "x".repeat(201)}), good()), "title", "too_long"),
        (file(1, json!({"status": "lost"}), good()), "status", "invalid"),
        (file(1, json!({"metadata": {"a": "\0"}}), good()), "metadata", "invalid"),
        (file(1, json!({"created_at": "yesterday"}), good()), "conversation", "invalid"),
        (file(1, json!({}), json!({"role": "bot", "content": "x"})), "messages.role", "invalid"),
        (file(1, json!({}), json!({"role": "user"})), "conversation", "invalid"),
        (file(1, json!({"metadata": [1]}), good()), "metadata", "invalid"),
        (json!({"mapping": {}, "title": "\0"}), "title", "invalid"),
        (json!(vec![0; 10_001]), ".", "invalid"),
        (json!({"format": "docx"}), "format", "unknown_format"),
        (json!([]), ".", "required"),
        (json!("x"), ".", "invalid"),
    ] {
        let (status, answer, stored) = import(file.clone()).await;
        assert_eq!((status, stored.len()), (422, 0), "{file}");
        let error = &answer["errors"][0];
        assert_eq!((&error["field"], &error["code"]), (&json!(field), &json!(code)), "{answer}");
    }
}

#[actix_web::test]
async fn a_file_has_a_limit_of_its_own() {
    let large = json!({"role": "user", "content": "x".repeat(20_000)});
    let with = |count| {
        json!({"format": "repartee.conversation", "version": 1, "conversation": {},
            "messages": vec![large.clone(); count]})
    };
    assert_eq!(import(with(1)).await.0, 201);
    let (status, answer, _) = import(with(2)).await;
    assert_eq!((status, &answer["code"]), (413, &json!("body_too_large")));
}
