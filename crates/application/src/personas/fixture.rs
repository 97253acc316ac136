//! What the tests of the catalogue share.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use repartee_domain::{
    LoginSessionId, PersonaId, UserId, Version,
    accounts::Role,
    personas::{Character, CharacterChanges, Persona},
};
use uuid::Uuid;

use super::PersonaService;
use crate::{
    Actor, Credential, Origin,
    accounts::fixture::good_key,
    ports::{MockClock, MockIdempotencyKeys, MockPersonaRepository, UsedKey},
};

pub(super) const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);
pub(super) const EDITOR: UserId = UserId::from_uuid(Uuid::from_u128(1));

pub(super) fn actor(role: Role) -> Actor {
    let credential = match role {
        Role::Guest => Credential::Guest,
        _ => Credential::Session(LoginSessionId::from_uuid(Uuid::from_u128(2))),
    };
    Actor { user: EDITOR, role, credential, origin: Origin::default() }
}

/// With a key of somebody with this role.
pub(super) fn program(role: Role) -> Actor {
    Actor { credential: Credential::Key(good_key("chat").key), ..actor(role) }
}

pub(super) fn persona(id: i64) -> Persona {
    let character = Character::make(CharacterChanges {
        name: Some(format!("Persona {id}")),
        system_prompt: Some("A secret.".into()),
        ..CharacterChanges::default()
    });
    Persona {
        id: PersonaId::new(id),
        character: character.unwrap(),
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
        version: Version::FIRST,
    }
}

pub(super) fn inactive() -> Persona {
    let persona = persona(3);
    Persona { character: Character { is_active: false, ..persona.character }, ..persona }
}

pub(super) fn service(personas: MockPersonaRepository) -> PersonaService {
    service_after(None, personas)
}

/// Where a key was used already.
pub(super) fn service_after(
    used: Option<UsedKey>,
    personas: MockPersonaRepository,
) -> PersonaService {
    let mut keys = MockIdempotencyKeys::new();
    keys.expect_find()
        .withf(|owner, route, key, _| *owner == EDITOR && *route == *"personas" && key == "k")
        .returning(move |_, _, _, _| Ok(used));
    let mut clock = MockClock::new();
    clock.expect_now().return_const(NOW);
    PersonaService::new(Arc::new(personas), Arc::new(keys), Arc::new(clock))
}
