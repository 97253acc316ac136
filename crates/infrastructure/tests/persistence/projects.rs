//! The contracts of `ProjectRepository` and `PromptRepository`, and what projects shape.

use futures::future::join_all;
use repartee_application::{
    PageRequest,
    ports::{
        ConversationFilter, ConversationRepository, JoinedProject, Made, NewKey, NewPrompt,
        PortError, ProjectConversations, ProjectRepository, PromptRepository, ShapeRepository,
    },
};
use repartee_domain::{
    PersonaId, ProjectId, PromptId, Version,
    conversations::Shape,
    projects::{Project, ProjectRole, Prompt, PromptText, Purpose},
};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{NOW, at, conversation, conversation_id, entry, key, user_id},
};

on_both_databases!(
    a_project_is_there_for_its_members_alone,
    projects_come_newest_first_page_by_page,
    of_one_request_sent_many_times_at_once_one_makes_a_project,
    one_project_too_many_is_not_stored,
    a_change_is_stored_with_the_next_version_or_not_at_all,
    members_come_and_go_and_the_owner_stays,
    one_member_too_many_is_not_let_in,
    a_deleted_project_leaves_its_conversations_without,
    prompts_are_appended_or_placed_and_paged_in_their_order,
    of_many_prompts_at_once_as_many_are_stored_as_there_may_be,
    each_write_keeps_a_version,
    the_active_prompts_of_a_project_shape_its_members_conversations,
    of_many_that_begin_the_running_conversation_at_once_one_does,
);

fn tea() -> Purpose {
    Purpose { name: "ชา 🍵".into(), description: Some("Tea".into()) }
}

fn shape(persona: Option<i64>, project: ProjectId) -> Shape {
    Shape { persona: persona.map(PersonaId::new), project: Some(project) }
}

fn page<K>(limit: u32, after: Option<K>) -> PageRequest<K> {
    PageRequest { limit, after }
}

fn new_prompt(project: ProjectId, content: &str, position: Option<u32>) -> NewPrompt {
    let text = PromptText { name: Some("Tone".into()), content: content.into() };
    NewPrompt { project, text, position, is_active: true, by: user_id(1), now: NOW }
}

impl TestDatabase {
    async fn try_project(
        &self,
        owner: u32,
        most: u32,
        key: Option<NewKey>,
    ) -> Result<Option<Made<Project>>, PortError> {
        self.projects().insert(user_id(owner), tea(), most, NOW, key).await
    }

    pub(crate) async fn with_project(&self, owner: u32) -> Project {
        match self.try_project(owner, 100, None).await.unwrap() {
            Some(Made::Now(project)) => project,
            other => panic!("{other:?}"),
        }
    }

    async fn with_member(&self, project: ProjectId, n: u32, role: ProjectRole) {
        let (projects, since) = (self.projects(), at(n.into()));
        let put = projects.put_member(project, user_id(n), role, 100, since, entry()).await;
        assert_eq!(put.unwrap().unwrap().role, role);
    }

    async fn with_prompt(&self, prompt: NewPrompt) -> Prompt {
        match self.prompts().insert(prompt, 100, None).await.unwrap() {
            Some(Made::Now(prompt)) => prompt,
            other => panic!("{other:?}"),
        }
    }

    async fn role(&self, n: u32, project: ProjectId) -> Option<ProjectRole> {
        let joined = self.projects().find(user_id(n), project).await.unwrap();
        joined.map(|joined| joined.role)
    }
}

async fn a_project_is_there_for_its_members_alone(db: &TestDatabase) {
    for n in 1..=3 {
        db.with_user(n).await;
    }
    let project = db.with_project(1).await;
    db.with_member(project.id, 2, ProjectRole::Viewer).await;

    let expected = Project {
        id: project.id,
        owner: user_id(1),
        purpose: tea(),
        created_at: NOW,
        updated_at: NOW,
        version: Version::FIRST,
    };
    assert_eq!(project, expected);
    for (n, role) in [(1, Some(ProjectRole::Owner)), (2, Some(ProjectRole::Viewer)), (3, None)] {
        let joined = role.map(|role| JoinedProject { project: project.clone(), role });
        assert_eq!(db.projects().find(user_id(n), project.id).await.unwrap(), joined);
        let listed = db.projects().list(user_id(n), page(9, None)).await.unwrap().items;
        assert_eq!(listed, joined.into_iter().collect::<Vec<_>>());
    }
    assert_eq!(db.role(1, ProjectId::new(-1)).await, None);
}

async fn projects_come_newest_first_page_by_page(db: &TestDatabase) {
    db.with_user(1).await;
    for _ in 0..5 {
        db.with_project(1).await;
    }
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = db.projects().list(user_id(1), page(2, after)).await.unwrap();
        ids.extend(page.items.iter().map(|joined| joined.project.id.get()));
        after = page.next;
        if after.is_none() {
            break;
        }
        db.with_project(1).await;
    }
    assert_eq!(ids, [5, 4, 3, 2, 1]);
}

async fn of_one_request_sent_many_times_at_once_one_makes_a_project(db: &TestDatabase) {
    db.with_user(1).await;
    let sent = (0..6).map(|_| db.try_project(1, 100, Some(key("k", at(60)))));
    let made: Vec<_> =
        join_all(sent).await.into_iter().map(|made| made.unwrap().unwrap()).collect();
    assert_eq!(made.iter().filter(|made| matches!(made, Made::Now(_))).count(), 1, "{made:?}");
    assert_eq!((db.count("projects").await, db.count("project_members").await), (1, 1));
}

async fn one_project_too_many_is_not_stored(db: &TestDatabase) {
    db.with_user(1).await;
    db.with_user(2).await;
    let sent = (0..5).map(|_| db.try_project(1, 2, None));
    let made: Vec<_> = join_all(sent).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(made.iter().flatten().count(), 2, "{made:?}");
    assert!(db.try_project(2, 2, None).await.unwrap().is_some(), "each has their own");
    assert_eq!(db.count("project_members").await, 3);
}

async fn a_change_is_stored_with_the_next_version_or_not_at_all(db: &TestDatabase) {
    db.with_user(1).await;
    let project = db.with_project(1).await;
    let purpose = Purpose { name: "Coffee".into(), description: None };
    let changed = Project { purpose, updated_at: at(4), ..project.clone() };

    let saved = db.projects().save(changed.clone()).await.unwrap();

    assert_eq!(saved, Project { version: Version::new(2), ..changed });
    let found = db.projects().find(user_id(1), project.id).await.unwrap().unwrap();
    assert_eq!(found.project, saved);
    assert!(matches!(db.projects().save(project).await, Err(PortError::Stale)));
}

async fn members_come_and_go_and_the_owner_stays(db: &TestDatabase) {
    for n in 1..=3 {
        db.with_user(n).await;
    }
    let id = db.with_project(1).await.id;
    db.with_member(id, 2, ProjectRole::Viewer).await;
    db.with_member(id, 3, ProjectRole::Viewer).await;
    let projects = db.projects();
    let put = |n, role| projects.put_member(id, user_id(n), role, 100, at(50), entry());
    // Another role, and still since then.
    let promoted = put(2, ProjectRole::Editor).await.unwrap().unwrap();
    assert_eq!((promoted.role, promoted.added_at), (ProjectRole::Editor, at(2)));
    assert_eq!(promoted.username.as_deref(), Some("User 2"));

    let owner = put(1, ProjectRole::Viewer).await.unwrap().unwrap();
    assert_eq!(owner.role, ProjectRole::Owner);
    assert!(!db.projects().remove_member(id, user_id(1), entry()).await.unwrap());
    let nobody = put(9, ProjectRole::Viewer).await.unwrap_err();
    assert!(matches!(nobody, PortError::Stale), "{nobody:?}");

    let first = db.projects().members(id, page(2, None)).await.unwrap();
    let last = db.projects().members(id, page(2, first.next)).await.unwrap();
    let users: Vec<_> = first.items.iter().chain(&last.items).map(|member| member.user).collect();
    assert_eq!((users, last.next), ([1, 2, 3].map(user_id).to_vec(), None));

    let told = db.count("audit_logs").await;
    assert!(db.projects().remove_member(id, user_id(2), entry()).await.unwrap());
    assert!(!db.projects().remove_member(id, user_id(2), entry()).await.unwrap());
    assert_eq!(db.count("audit_logs").await, told + 1, "what was not done is not told");
    assert_eq!(db.role(2, id).await, None);
}

async fn one_member_too_many_is_not_let_in(db: &TestDatabase) {
    for n in 1..=5 {
        db.with_user(n).await;
    }
    let (id, role) = (db.with_project(1).await.id, ProjectRole::Viewer);
    let projects = db.projects();
    let put = (2..=5).map(|n| projects.put_member(id, user_id(n), role, 3, NOW, entry()));
    let put: Vec<_> = join_all(put).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(put.iter().flatten().count(), 2, "{put:?}");
    // Who is a member already may get another role.
    let member = put.iter().flatten().next().unwrap().user;
    let again = projects.put_member(id, member, ProjectRole::Editor, 3, NOW, entry());
    assert_eq!(again.await.unwrap().unwrap().role, ProjectRole::Editor);
}

async fn a_deleted_project_leaves_its_conversations_without(db: &TestDatabase) {
    db.with_user(1).await;
    let id = db.with_project(1).await.id;
    db.with_prompt(new_prompt(id, "Hm.", None)).await;
    let mut shaped = conversation(1, 1);
    shaped.subject.shape = shape(None, id);
    db.conversations().insert(shaped, None).await.unwrap();
    let listed = async || {
        let filter = ConversationFilter { project: Some(id), ..Default::default() };
        let page = db.conversations().list(user_id(1), filter, page(9, None)).await.unwrap();
        page.items.len()
    };
    assert_eq!(listed().await, 1);

    assert!(db.projects().delete(id).await.unwrap());

    assert!(!db.projects().delete(id).await.unwrap());
    let found = db.conversations().find(user_id(1), conversation_id(1).into()).await.unwrap();
    assert_eq!(found, Some(conversation(1, 1)));
    assert_eq!(listed().await, 0);
    for table in ["project_members", "prompts", "prompt_versions"] {
        assert_eq!(db.count(table).await, 0, "{table}");
    }
    let late = db.prompts().insert(new_prompt(id, "Late", None), 100, None).await.unwrap_err();
    assert!(matches!(late, PortError::Stale), "{late:?}");
}

async fn prompts_are_appended_or_placed_and_paged_in_their_order(db: &TestDatabase) {
    db.with_user(1).await;
    let (id, other) = (db.with_project(1).await.id, db.with_project(1).await.id);
    db.with_prompt(new_prompt(other, "Elsewhere", Some(999))).await;
    for (content, position) in
        [("1", None), ("7", Some(7)), ("8", None), ("0", Some(0)), ("7 again", Some(7))]
    {
        let made = db.with_prompt(new_prompt(id, content, position)).await;
        assert_eq!(db.prompts().find(made.id).await.unwrap(), Some(made));
    }
    let (mut contents, mut after) = (Vec::new(), None);
    loop {
        let page = db.prompts().list(id, page(2, after)).await.unwrap();
        contents.extend(page.items.into_iter().map(|prompt| prompt.text.content));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(contents, ["0", "1", "7", "7 again", "8"]);
    assert_eq!(db.prompts().find(PromptId::new(99)).await.unwrap(), None);
}

async fn of_many_prompts_at_once_as_many_are_stored_as_there_may_be(db: &TestDatabase) {
    db.with_user(1).await;
    let id = db.with_project(1).await.id;
    let prompts = db.prompts();
    let sent = (0..6).map(|n| {
        // Two of them are one request.
        let key = (n < 2).then(|| key("k", at(60)));
        prompts.insert(new_prompt(id, &n.to_string(), None), 3, key)
    });
    let made: Vec<_> = join_all(sent).await.into_iter().map(Result::unwrap).collect();
    let mut places: Vec<_> = made
        .iter()
        .filter_map(|made| match made {
            Some(Made::Now(prompt)) => Some(prompt.position),
            _ => None,
        })
        .collect();
    places.sort_unstable();
    assert_eq!(places, [1, 2, 3], "{made:?}");
    assert_eq!((db.count("prompts").await, db.count("prompt_versions").await), (3, 3));
}

async fn each_write_keeps_a_version(db: &TestDatabase) {
    db.with_user(1).await;
    db.with_user(2).await;
    let id = db.with_project(1).await.id;
    let first = db.with_prompt(new_prompt(id, "One", None)).await;
    let text = PromptText { name: None, content: "Two".into() };
    let second = Prompt { text, is_active: false, updated_at: at(5), ..first.clone() };
    let second = db.prompts().save(second, user_id(2)).await.unwrap();
    assert_eq!(second.version, Version::new(2));
    assert_eq!(db.prompts().find(first.id).await.unwrap(), Some(second.clone()));
    let stale = db.prompts().save(first.clone(), user_id(1)).await.unwrap_err();
    assert!(matches!(stale, PortError::Stale));

    let newest = db.prompts().versions(first.id, page(1, None)).await.unwrap();
    let oldest = db.prompts().versions(first.id, page(1, newest.next)).await.unwrap();
    let kept: Vec<_> = newest.items.iter().chain(&oldest.items).collect();
    assert_eq!((kept.len(), oldest.next), (2, None));
    assert_eq!(
        (kept[0].version, &kept[0].text, kept[0].at),
        (Version::new(2), &second.text, at(5))
    );
    assert_eq!((kept[1].version, &kept[1].text, kept[1].at), (Version::FIRST, &first.text, NOW));
    assert_eq!((kept[0].changed_by, kept[1].changed_by), (Some(user_id(2)), Some(user_id(1))));

    assert!(db.prompts().delete(first.id).await.unwrap());
    assert!(!db.prompts().delete(first.id).await.unwrap());
    assert_eq!(db.count("prompt_versions").await, 0);
}

async fn the_active_prompts_of_a_project_shape_its_members_conversations(db: &TestDatabase) {
    for n in 1..=3 {
        db.with_user(n).await;
    }
    let id = db.with_project(1).await.id;
    db.with_member(id, 2, ProjectRole::Viewer).await;
    db.with_prompt(new_prompt(id, "Second", Some(2))).await;
    db.with_prompt(NewPrompt { is_active: false, ..new_prompt(id, "Off", Some(1)) }).await;
    db.with_prompt(new_prompt(id, "First", Some(1))).await;

    for (n, expected) in [(1, &["First", "Second"][..]), (2, &["First", "Second"]), (3, &[])] {
        let chosen = db.shapes().choosable(user_id(n), shape(None, id)).await.unwrap();
        assert_eq!(chosen.project, (!expected.is_empty()).then_some(id), "{n}");
        assert_eq!(db.shapes().prompts(user_id(n), shape(None, id)).await.unwrap(), expected);
        // The persona's comes before.
        let both = shape(Some(4), id);
        assert_eq!(db.shapes().prompts(user_id(n), both).await.unwrap().len(), 1 + expected.len());
        assert_eq!(db.shapes().choosable(user_id(n), both).await.unwrap().persona, both.persona);
    }
    let persona = db.shapes().prompts(user_id(1), shape(Some(4), id)).await.unwrap();
    assert!(persona[0].contains("teacher") && persona[1] == "First", "{persona:?}");
}

async fn of_many_that_begin_the_running_conversation_at_once_one_does(db: &TestDatabase) {
    db.with_user(1).await;
    db.with_user(2).await;
    let id = db.with_project(1).await.id;
    let running = db.running();
    assert_eq!(running.find(user_id(1), id).await.unwrap(), None);
    let in_it = |n, owner| {
        let mut conversation = conversation(n, owner);
        conversation.subject.shape = shape(None, id);
        conversation
    };

    let begun = join_all((1..=5).map(|n| running.begin(id, in_it(n, 1), None))).await;

    let begun: Vec<_> = begun.into_iter().map(Result::unwrap).collect();
    assert_eq!(begun.iter().filter(|begun| **begun).count(), 1, "{begun:?}");
    assert_eq!(db.count("conversations").await, 1, "nothing is left of the others");
    let found = running.find(user_id(1), id).await.unwrap().unwrap();
    let first = (1..).zip(begun).find(|(_, begun)| *begun).unwrap().0;
    assert_eq!(found, in_it(first, 1));

    // Another takes the place of that one alone.
    assert!(!running.begin(id, in_it(6, 1), None).await.unwrap());
    assert!(!running.begin(id, in_it(6, 1), Some(conversation_id(9))).await.unwrap());
    assert!(running.begin(id, in_it(6, 1), Some(found.id)).await.unwrap());
    assert_eq!(running.find(user_id(1), id).await.unwrap(), Some(in_it(6, 1)));
    // Who is no member has none.
    assert!(!running.begin(id, in_it(7, 2), None).await.unwrap());
    assert_eq!(running.find(user_id(2), id).await.unwrap(), None);
    // A deleted one is none.
    assert!(db.conversations().delete(user_id(1), conversation_id(6), NOW).await.unwrap());
    assert_eq!(running.find(user_id(1), id).await.unwrap(), None);
    assert!(running.begin(id, in_it(8, 1), None).await.unwrap());
}
