//! What the tests of administration share.

use std::sync::{Arc, Mutex};

use repartee_domain::{UserId, accounts::Role, audit::AuditEntry};
use uuid::Uuid;

use super::UserAdminService;
use crate::{
    Actor, Credential, Origin,
    accounts::fixture::{Fixture, SESSION},
    ports::{
        MockAuditRecorder, MockIdempotencyKeys, MockTurnRepository, MockUserDirectory, UsedKey,
    },
    replies,
};

pub(super) const ADMIN: UserId = UserId::from_uuid(Uuid::from_u128(200));

pub(super) fn actor(role: Role) -> Actor {
    let credential = Credential::Session(SESSION);
    Actor { user: ADMIN, role, credential, origin: Origin::default() }
}

pub(super) fn service(fixture: Fixture, directory: MockUserDirectory) -> UserAdminService {
    service_after(None, fixture, directory)
}

/// Where a key was used already, and nobody has a reply that is being written.
pub(super) fn service_after(
    used: Option<UsedKey>,
    fixture: Fixture,
    directory: MockUserDirectory,
) -> UserAdminService {
    let mut keys = MockIdempotencyKeys::new();
    keys.expect_find().returning(move |_, _, _, _| Ok(used));
    let mut turns = MockTurnRepository::new();
    turns.expect_running_of().returning(|_| Ok(Vec::new()));
    of(fixture, directory, keys, turns, MockAuditRecorder::new())
}

/// With what was recorded that no commit tells of.
pub(super) fn recording(
    fixture: Fixture,
    directory: MockUserDirectory,
) -> (UserAdminService, Arc<Mutex<Vec<AuditEntry>>>) {
    let recorded = Arc::<Mutex<Vec<_>>>::default();
    let mut recorder = MockAuditRecorder::new();
    let entries = recorded.clone();
    recorder.expect_record().returning(move |entry| {
        entries.lock().unwrap().push(entry);
        Ok(())
    });
    let (keys, turns) = (MockIdempotencyKeys::new(), MockTurnRepository::new());
    (of(fixture, directory, keys, turns, recorder), recorded)
}

fn of(
    fixture: Fixture,
    directory: MockUserDirectory,
    keys: MockIdempotencyKeys,
    turns: MockTurnRepository,
    recorder: MockAuditRecorder,
) -> UserAdminService {
    UserAdminService::new(
        Arc::new(fixture.service()),
        Arc::new(directory),
        Arc::new(keys),
        Arc::new(turns),
        replies::fixture::Fixture::answering([]).service,
        Arc::new(recorder),
    )
}
