//! The contracts of `PersonaRepository` and `ShapeRepository`.

use futures::future::join_all;
use repartee_application::{
    PageRequest,
    ports::{
        ConversationFilter, ConversationRepository, Done, Made, NewKey, PersonaFilter,
        PersonaRepository, PortError, ShapeRepository, UsedKey,
    },
};
use repartee_domain::{
    PersonaId, Version,
    conversations::{Conversation, Shape},
    personas::{Character, CharacterChanges, Persona},
};

use crate::{
    databases::{TestDatabase, on_both_databases},
    fixtures::{NOW, UPDATED, at, conversation, conversation_id, entry, key, user_id},
};

on_both_databases!(
    a_fresh_database_has_six_that_can_be_chosen,
    a_persona_is_stored_as_it_is_and_found_by_its_id,
    personas_come_in_the_order_of_their_ids_page_by_page,
    a_name_is_taken_once,
    of_one_request_sent_many_times_at_once_one_makes_a_persona,
    one_too_many_is_not_stored_and_its_key_stays_free,
    a_change_is_stored_with_the_next_version_or_not_at_all,
    what_a_conversation_is_shaped_by_is_kept_and_filtered_by,
    a_deleted_persona_leaves_its_conversations_without,
    an_inactive_persona_cannot_be_chosen_and_still_speaks,
);

fn pirate(name: &str) -> Character {
    let wish = CharacterChanges {
        name: Some(name.into()),
        system_prompt: Some("Talk like a pirate. 🏴‍☠️".into()),
        expertise: Some(Some("ทะเล".into())),
        icon: Some(Some("🏴‍☠️".into())),
        ..CharacterChanges::default()
    };
    Character::make(wish).unwrap()
}

fn with(persona: PersonaId) -> Shape {
    Shape { persona: Some(persona), project: None }
}

impl TestDatabase {
    async fn insert(
        &self,
        name: &str,
        most: u32,
        key: Option<NewKey>,
    ) -> Result<Option<Made<Persona>>, PortError> {
        self.personas().insert(pirate(name), most, NOW, user_id(1), key, entry()).await
    }

    async fn with_persona(&self, name: &str) -> Persona {
        match self.insert(name, 100, None).await.unwrap() {
            Some(Made::Now(persona)) => persona,
            other => panic!("{other:?}"),
        }
    }

    async fn names(&self, filter: PersonaFilter) -> Vec<String> {
        let page = PageRequest { limit: 100, after: None };
        let page = self.personas().list(filter, page).await.unwrap();
        page.items.into_iter().map(|persona| persona.character.name).collect()
    }
}

async fn a_fresh_database_has_six_that_can_be_chosen(db: &TestDatabase) {
    let page = PageRequest { limit: 100, after: None };
    let personas = db.personas().list(PersonaFilter::default(), page).await.unwrap().items;

    let names = ["General", "Technology", "Business", "Education", "Health", "Creative"];
    let found: Vec<_> = personas.iter().map(|persona| &*persona.character.name).collect();
    assert_eq!(found, names);
    for (persona, id) in personas.into_iter().zip(1..) {
        assert_eq!((persona.id, persona.version), (PersonaId::new(id), Version::FIRST));
        // As good as if somebody had made it.
        let character = persona.character.clone();
        let wish = CharacterChanges {
            name: Some(character.name),
            system_prompt: Some(character.system_prompt),
            expertise: Some(character.expertise),
            description: Some(character.description),
            icon: Some(character.icon),
            is_active: None,
        };
        assert_eq!(Character::make(wish), Ok(persona.character));
    }
}

async fn a_persona_is_stored_as_it_is_and_found_by_its_id(db: &TestDatabase) {
    let made = db.with_persona("Pirate").await;

    let expected = Persona {
        id: PersonaId::new(7),
        character: pirate("Pirate"),
        created_at: NOW,
        updated_at: NOW,
        version: Version::FIRST,
    };
    assert_eq!(made, expected);
    assert_eq!(db.personas().find(made.id).await.unwrap(), Some(expected));
    for id in [0, -1, 8, i64::MAX, i64::MIN] {
        assert_eq!(db.personas().find(PersonaId::new(id)).await.unwrap(), None);
    }
    // The entry names the persona that it tells of.
    let of_it = "audit_logs WHERE resource = 'persona' AND resource_id = '7'";
    assert_eq!(db.count(of_it).await, 1);
}

async fn personas_come_in_the_order_of_their_ids_page_by_page(db: &TestDatabase) {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest { limit: 4, after };
        let page = db.personas().list(PersonaFilter::default(), page).await.unwrap();
        ids.extend(page.items.iter().map(|persona| persona.id.get()));
        after = page.next;
        if after.is_none() {
            break;
        }
        db.with_persona(&format!("Pirate {}", ids.len())).await;
    }
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7]);
}

async fn a_name_is_taken_once(db: &TestDatabase) {
    let taken = db.insert("General", 100, None).await.unwrap_err();
    assert!(matches!(taken, PortError::Taken { field: "name" }), "{taken:?}");

    let pirate = db.with_persona("Pirate").await;
    let renamed = Character { name: "General".into(), ..pirate.character.clone() };
    let renamed = Persona { character: renamed, ..pirate };
    let taken = db.personas().save(renamed, entry()).await.unwrap_err();
    assert!(matches!(taken, PortError::Taken { field: "name" }), "{taken:?}");
}

async fn of_one_request_sent_many_times_at_once_one_makes_a_persona(db: &TestDatabase) {
    db.with_user(1).await;
    let sent = (0..6).map(|_| db.insert("Pirate", 100, Some(key("k", at(60)))));

    let made: Vec<_> =
        join_all(sent).await.into_iter().map(|made| made.unwrap().unwrap()).collect();

    let now: Vec<_> = made.iter().filter(|made| matches!(made, Made::Now(_))).collect();
    let [Made::Now(persona)] = now[..] else { panic!("{made:?}") };
    let done = Done::Resource(persona.id.as_uuid());
    let before = Made::Before(UsedKey { fingerprint: [3; 32], done });
    assert_eq!(made.iter().filter(|made| **made == before).count(), 5);
    assert_eq!(db.count("personas").await, 7);
}

async fn one_too_many_is_not_stored_and_its_key_stays_free(db: &TestDatabase) {
    db.with_user(1).await;
    let again = || db.insert("Pirate", 6, Some(key("k", at(60))));
    assert_eq!(again().await.unwrap(), None);
    assert_eq!((db.count("personas").await, db.count("idempotency_keys").await), (6, 0));

    let made = db.insert("Pirate", 7, Some(key("k", at(60)))).await.unwrap();
    assert!(matches!(made, Some(Made::Now(_))), "{made:?}");
    // A repeated request is none too many.
    assert!(matches!(again().await.unwrap(), Some(Made::Before(_))));
}

async fn a_change_is_stored_with_the_next_version_or_not_at_all(db: &TestDatabase) {
    let persona = db.with_persona("Pirate").await;
    let character = Character { icon: None, is_active: false, ..pirate("Corsair") };
    let changed = Persona { character, updated_at: at(5), ..persona.clone() };

    let saved = db.personas().save(changed.clone(), entry()).await.unwrap();

    assert_eq!(saved, Persona { version: Version::new(2), ..changed });
    assert_eq!(db.personas().find(persona.id).await.unwrap(), Some(saved));
    let stale = db.personas().save(persona, entry()).await.unwrap_err();
    assert!(matches!(stale, PortError::Stale));
    assert_eq!(db.count("audit_logs").await, 2, "what was refused is not told");
    let inactive = PersonaFilter { is_active: Some(false) };
    assert_eq!(db.names(inactive).await, ["Corsair"]);
    assert_eq!(db.names(PersonaFilter { is_active: Some(true) }).await.len(), 6);
}

async fn what_a_conversation_is_shaped_by_is_kept_and_filtered_by(db: &TestDatabase) {
    db.with_user(1).await;
    for (n, persona) in (1..).zip([Some(4), None, Some(4), Some(5)]) {
        let mut conversation = conversation(n, 1);
        conversation.subject.shape = Shape { persona: persona.map(PersonaId::new), project: None };
        db.conversations().insert(conversation, None).await.unwrap();
    }
    let listed = async |persona| {
        let filter =
            ConversationFilter { persona: Some(PersonaId::new(persona)), ..Default::default() };
        let page = PageRequest { limit: 9, after: None };
        let page = db.conversations().list(user_id(1), filter, page).await.unwrap();
        page.items.into_iter().map(|found| found.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(4).await, [3, 1].map(conversation_id));
    assert_eq!(listed(9).await, []);

    let mut changed = conversation(2, 1);
    changed.subject.shape = with(PersonaId::new(4));
    let saved = db.conversations().save(changed, UPDATED).await.unwrap();
    let found = db.conversations().find(user_id(1), saved.id.into()).await.unwrap();
    assert_eq!(found, Some(saved));
    assert_eq!(listed(4).await.len(), 3);
}

async fn a_deleted_persona_leaves_its_conversations_without(db: &TestDatabase) {
    let pirate = db.with_persona("Pirate").await;
    db.with_user(1).await;
    let mut shaped = conversation(1, 1);
    shaped.subject.shape = with(pirate.id);
    db.conversations().insert(shaped.clone(), None).await.unwrap();

    db.personas().delete(pirate.id, entry()).await.unwrap();

    let found = db.conversations().find(user_id(1), conversation_id(1).into()).await.unwrap();
    assert_eq!(found, Some(conversation(1, 1)));
    assert_eq!(db.shapes().prompts(user_id(1), with(pirate.id)).await.unwrap(), [""; 0]);
    let again = db.personas().delete(pirate.id, entry()).await.unwrap_err();
    assert!(matches!(again, PortError::Stale));
    // Whoever looked for it before it went.
    let late = Conversation { code: conversation(2, 1).code, id: conversation_id(2), ..shaped };
    let refused = db.conversations().insert(late, None).await.unwrap_err();
    assert!(matches!(refused, PortError::Stale), "{refused:?}");
    // An id is never used again.
    assert_ne!(db.with_persona("Pirate").await.id, pirate.id);
}

async fn an_inactive_persona_cannot_be_chosen_and_still_speaks(db: &TestDatabase) {
    let pirate = db.with_persona("Pirate").await;
    let (shapes, shape) = (db.shapes(), with(pirate.id));
    assert_eq!(shapes.choosable(user_id(1), shape).await.unwrap(), shape);

    let character = Character { is_active: false, ..pirate.character.clone() };
    db.personas().save(Persona { character, ..pirate.clone() }, entry()).await.unwrap();

    assert!(shapes.choosable(user_id(1), shape).await.unwrap().is_plain());
    assert!(shapes.choosable(user_id(1), with(PersonaId::new(99))).await.unwrap().is_plain());
    assert_eq!(shapes.prompts(user_id(1), shape).await.unwrap(), [pirate.character.system_prompt]);
}
