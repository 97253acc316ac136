//! Editing the catalogue.

use repartee_domain::{
    PersonaId, Version,
    audit::Action,
    personas::{Character, CharacterChanges, Persona},
};

use super::{MOST, PersonaService};
use crate::{
    Actor, AppError, IdempotencyKey, Permission,
    idempotency::Making,
    ports::{Made, PortError},
};

/// Where the keys of new personas are used.
const KEY_ROUTE: &str = "personas";

impl PersonaService {
    /// Adds a persona. Where the key was used for the same before, that one is given again, as it
    /// is by now.
    ///
    /// # Errors
    /// [`AppError::AlreadyDone`] where it was deleted since.
    pub async fn make(
        &self,
        actor: &Actor,
        wish: CharacterChanges,
        key: Option<IdempotencyKey>,
    ) -> Result<Persona, AppError> {
        actor.may(Permission::EditPersonas)?;
        let now = self.clock.now();
        let making = Making::new(actor.user, KEY_ROUTE, key.as_ref(), now);
        if let Some(id) = making.made_before(&*self.keys).await? {
            return self.again(PersonaId::from_uuid(id)).await;
        }
        let character = Character::make(wish).map_err(AppError::Invalid)?;
        let entry = actor.did(Action::PersonaMade, now);
        let made = self
            .personas
            .insert(character, MOST, now, actor.user, making.new_key(), entry)
            .await
            .map_err(taken)?;
        match made.ok_or(AppError::TooMany("personas"))? {
            Made::Now(persona) => Ok(persona),
            Made::Before(used) => self.again(PersonaId::from_uuid(making.made_by(used)?)).await,
        }
    }

    async fn again(&self, id: PersonaId) -> Result<Persona, AppError> {
        self.personas.find(id).await?.ok_or(AppError::AlreadyDone)
    }

    /// Changes the fields that are named. `expected` is the version that the caller read, where
    /// it says so.
    pub async fn change(
        &self,
        actor: &Actor,
        id: PersonaId,
        changes: CharacterChanges,
        expected: Option<Version>,
    ) -> Result<Persona, AppError> {
        actor.may(Permission::EditPersonas)?;
        let found = self.personas.find(id).await?;
        let mut persona = found.ok_or(AppError::PERSONA_NOT_FOUND)?;
        if expected.is_some_and(|expected| expected != persona.version) {
            return Err(AppError::VersionMismatch);
        }
        let now = self.clock.now();
        let before = persona.character.clone();
        if !persona.change(changes, now).map_err(AppError::Invalid)? {
            return Ok(persona);
        }
        let fields = before.differing(&persona.character).join(" ");
        let entry = actor.did(Action::PersonaChanged, now).on("persona", id).with("fields", fields);
        match self.personas.save(persona, entry).await {
            Err(PortError::Stale) if expected.is_some() => Err(AppError::VersionMismatch),
            saved => saved.map_err(taken),
        }
    }

    /// Takes a persona out of the catalogue, for good. Its conversations go on without.
    pub async fn delete(&self, actor: &Actor, id: PersonaId) -> Result<(), AppError> {
        actor.may(Permission::EditPersonas)?;
        let entry = actor.did(Action::PersonaDeleted, self.clock.now()).on("persona", id);
        match self.personas.delete(id, entry).await {
            Err(PortError::Stale) => Err(AppError::PERSONA_NOT_FOUND),
            deleted => Ok(deleted?),
        }
    }
}

fn taken(error: PortError) -> AppError {
    match error {
        PortError::Taken { field } => AppError::Taken { field },
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use repartee_domain::accounts::Role;

    use super::{super::fixture::*, *};
    use crate::ports::{Done, MockPersonaRepository, UsedKey};

    fn wish() -> CharacterChanges {
        CharacterChanges {
            name: Some("Pirate".into()),
            system_prompt: Some("Talk like a pirate.".into()),
            ..CharacterChanges::default()
        }
    }

    fn rename() -> CharacterChanges {
        CharacterChanges { name: Some("Corsair".into()), ..CharacterChanges::default() }
    }

    fn holding() -> MockPersonaRepository {
        let mut personas = MockPersonaRepository::new();
        personas.expect_find().returning(|id| Ok((id == persona(3).id).then(|| persona(3))));
        personas
    }

    fn code(error: &AppError) -> &'static str {
        error.classify().1
    }

    #[tokio::test]
    async fn nobody_but_managers_and_administrators_edits() {
        for actor in [actor(Role::Guest), actor(Role::User), program(Role::Admin)] {
            let service = service(MockPersonaRepository::new());
            let id = PersonaId::new(3);
            for refused in [
                service.make(&actor, wish(), None).await.unwrap_err(),
                service.change(&actor, id, rename(), None).await.unwrap_err(),
                service.delete(&actor, id).await.unwrap_err(),
            ] {
                assert!(["forbidden", "not_for_keys"].contains(&code(&refused)), "{refused}");
            }
        }
    }

    #[tokio::test]
    async fn a_persona_is_made_and_told() {
        let mut personas = MockPersonaRepository::new();
        personas
            .expect_insert()
            .withf(|character, most, now, maker, key, entry| {
                character.name == "Pirate"
                    && (*most, *now, *maker) == (200, NOW, EDITOR)
                    && key.is_none()
                    && entry.action == Action::PersonaMade
            })
            .once()
            .returning(|character, _, _, _, _, _| {
                Ok(Some(Made::Now(Persona { character, ..persona(7) })))
            });
        let made = service(personas).make(&actor(Role::Manager), wish(), None).await.unwrap();
        assert_eq!((made.id, made.character.name.as_str()), (PersonaId::new(7), "Pirate"));
    }

    #[tokio::test]
    async fn a_persona_is_made_once() {
        for (fingerprint, id, expected) in [
            (1, 3, Ok(PersonaId::new(3))),
            (1, 4, Err("already_done")),
            (2, 3, Err("idempotency_key_reused")),
        ] {
            let done = Done::Resource(PersonaId::new(id).as_uuid());
            let used = UsedKey { fingerprint: [fingerprint; 32], done };
            let mut faster = holding();
            faster.expect_insert().returning(move |_, _, _, _, _, _| Ok(Some(Made::Before(used))));
            // Found before, and found when another request was faster.
            for service in [service_after(Some(used), holding()), service(faster)] {
                let key = IdempotencyKey::parse("k", [1; 32]).unwrap();
                let made = service.make(&actor(Role::Admin), wish(), Some(key)).await;
                assert_eq!(made.map(|made| made.id).map_err(|error| code(&error)), expected);
            }
        }
    }

    #[tokio::test]
    async fn a_name_that_is_taken_and_one_too_many_are_refused() {
        let mut personas = MockPersonaRepository::new();
        personas
            .expect_insert()
            .returning(|_, _, _, _, _, _| Err(PortError::Taken { field: "name" }));
        let refused = service(personas).make(&actor(Role::Admin), wish(), None).await.unwrap_err();
        assert_eq!(code(&refused), "name_taken");

        let mut personas = MockPersonaRepository::new();
        personas.expect_insert().returning(|_, _, _, _, _, _| Ok(None));
        let refused = service(personas).make(&actor(Role::Admin), wish(), None).await.unwrap_err();
        assert_eq!(code(&refused), "too_many_personas");
    }

    #[tokio::test]
    async fn a_change_tells_which_fields_and_not_what_is_in_them() {
        let mut personas = holding();
        personas
            .expect_save()
            .withf(|saved, entry| {
                saved.character.name == "Corsair"
                    && saved.updated_at == NOW
                    && entry.details["fields"] == "name"
                    && entry.resource.as_ref().is_some_and(|resource| resource.id == "3")
            })
            .once()
            .returning(|saved, _| Ok(saved));
        let id = PersonaId::new(3);
        let service = service(personas);
        service.change(&actor(Role::Admin), id, rename(), Some(Version::FIRST)).await.unwrap();
        // Nothing to change: nothing is written.
        let nothing = CharacterChanges::default();
        service.change(&actor(Role::Admin), id, nothing, None).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_overtaken_is_refused() {
        let id = PersonaId::new(3);
        let old = Some(Version::new(9));
        let refused = service(holding()).change(&actor(Role::Admin), id, rename(), old).await;
        assert_eq!(code(&refused.unwrap_err()), "version_mismatch");
        for (expected, refusal) in
            [(None, "stale_write"), (Some(Version::FIRST), "version_mismatch")]
        {
            let mut personas = holding();
            personas.expect_save().returning(|_, _| Err(PortError::Stale));
            let refused =
                service(personas).change(&actor(Role::Admin), id, rename(), expected).await;
            assert_eq!(code(&refused.unwrap_err()), refusal);
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_neither_changed_nor_deleted() {
        let mut personas = holding();
        personas.expect_delete().returning(|_, _| Err(PortError::Stale));
        let (service, id) = (service(personas), PersonaId::new(8));
        for refused in [
            service.change(&actor(Role::Admin), id, rename(), None).await.unwrap_err(),
            service.delete(&actor(Role::Admin), id).await.unwrap_err(),
        ] {
            assert_eq!(code(&refused), "persona_not_found");
        }
    }
}
