//! The catalogue of personas: reading it, for everybody, and editing it.

mod edit;

use std::sync::Arc;

use repartee_domain::{PersonaId, personas::Persona};

use crate::{
    Actor, AppError, Page, PageRequest, Permission,
    ports::{Clock, IdempotencyKeys, PersonaFilter, PersonaRepository},
};

/// Personas that there may be: the catalogue can be read as one list.
pub const MOST: u32 = 200;

pub struct PersonaService {
    personas: Arc<dyn PersonaRepository>,
    keys: Arc<dyn IdempotencyKeys>,
    clock: Arc<dyn Clock>,
}

/// A persona, as far as somebody may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPersona {
    pub persona: Persona,
    /// Whether its system prompt is theirs to read.
    pub shows_prompt: bool,
}

impl PersonaService {
    pub fn new(
        personas: Arc<dyn PersonaRepository>,
        keys: Arc<dyn IdempotencyKeys>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { personas, keys, clock }
    }

    /// In the order of their ids. Who doesn't edit the catalogue sees the active ones alone.
    pub async fn list(
        &self,
        actor: &Actor,
        filter: PersonaFilter,
        page: PageRequest<PersonaId>,
    ) -> Result<Page<SeenPersona, PersonaId>, AppError> {
        actor.may(Permission::Read)?;
        let shows_prompt = edits(actor);
        let filter = match filter.is_active {
            _ if shows_prompt => filter,
            Some(false) => return Ok(Page { items: Vec::new(), next: None }),
            _ => PersonaFilter { is_active: Some(true) },
        };
        let Page { items, next } = self.personas.list(filter, page).await?;
        let items = items.into_iter().map(|persona| SeenPersona { persona, shows_prompt });
        Ok(Page { items: items.collect(), next })
    }

    /// All that can be chosen, in the order of their ids.
    pub async fn catalogue(&self, actor: &Actor) -> Result<Vec<SeenPersona>, AppError> {
        let active = PersonaFilter { is_active: Some(true) };
        let page = PageRequest { limit: MOST, after: None };
        Ok(self.list(actor, active, page).await?.items)
    }

    /// An inactive one is there for who edits the catalogue alone.
    pub async fn find(&self, actor: &Actor, id: PersonaId) -> Result<SeenPersona, AppError> {
        actor.may(Permission::Read)?;
        let shows_prompt = edits(actor);
        let found = self.personas.find(id).await?;
        let seen = found.filter(|persona| shows_prompt || persona.character.is_active);
        let persona = seen.ok_or(AppError::PERSONA_NOT_FOUND)?;
        Ok(SeenPersona { persona, shows_prompt })
    }
}

fn edits(actor: &Actor) -> bool {
    actor.may(Permission::EditPersonas).is_ok()
}

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod tests {
    use repartee_domain::accounts::Role;

    use super::{fixture::*, *};
    use crate::ports::MockPersonaRepository;

    fn page() -> PageRequest<PersonaId> {
        PageRequest { limit: 20, after: None }
    }

    #[tokio::test]
    async fn who_does_not_edit_the_catalogue_sees_active_ones_without_their_prompts() {
        for (role, asked, shows_prompt) in [
            (Role::Guest, Some(true), false),
            (Role::User, Some(true), false),
            (Role::Manager, None, true),
            (Role::Admin, None, true),
        ] {
            let mut personas = MockPersonaRepository::new();
            personas
                .expect_list()
                .withf(move |filter, _| filter.is_active == asked)
                .once()
                .returning(|_, _| Ok(Page { items: vec![persona(3)], next: None }));
            let service = service(personas);
            let listed = service.list(&actor(role), PersonaFilter::default(), page()).await;
            assert_eq!(
                listed.unwrap().items,
                [SeenPersona { persona: persona(3), shows_prompt }],
                "{role:?}"
            );
        }
        let inactive = PersonaFilter { is_active: Some(false) };
        let none = service(MockPersonaRepository::new());
        let listed = none.list(&actor(Role::User), inactive, page()).await.unwrap();
        assert_eq!(listed.items, []);
    }

    #[tokio::test]
    async fn an_inactive_persona_is_there_for_who_edits_the_catalogue() {
        for (role, is_there) in [(Role::Guest, false), (Role::User, false), (Role::Manager, true)] {
            let mut personas = MockPersonaRepository::new();
            personas.expect_find().returning(|_| Ok(Some(inactive())));
            let found = service(personas).find(&actor(role), PersonaId::new(3)).await;
            match found {
                Ok(seen) => assert!(is_there && seen.shows_prompt, "{role:?}"),
                Err(error) => {
                    assert!(!is_there, "{role:?}");
                    assert_eq!(error.classify().1, "persona_not_found");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_program_sees_what_a_user_would() {
        let mut personas = MockPersonaRepository::new();
        personas.expect_find().returning(|_| Ok(Some(persona(3))));
        let found = service(personas).find(&program(Role::Admin), PersonaId::new(3)).await;
        assert!(!found.unwrap().shows_prompt);
    }
}
