//! What the tests of projects share.

use chrono::{DateTime, Utc};
use repartee_domain::{
    LoginSessionId, ProjectId, UserId, Version,
    accounts::Role,
    projects::{Project, ProjectRole, Purpose},
};
use uuid::Uuid;

use crate::{
    Actor, Credential, Origin,
    ports::{JoinedProject, MockClock, MockIdempotencyKeys, MockProjectRepository, UsedKey},
};

pub(crate) const NOW: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_000_000_000);
pub(crate) const PROJECT: ProjectId = ProjectId::new(5);

pub(crate) fn actor() -> Actor {
    Actor {
        user: UserId::from_uuid(Uuid::from_u128(1)),
        role: Role::User,
        credential: Credential::Session(LoginSessionId::from_uuid(Uuid::from_u128(2))),
        origin: Origin::default(),
    }
}

pub(crate) fn project() -> Project {
    Project {
        id: PROJECT,
        owner: actor().user,
        purpose: Purpose { name: "Tea".into(), description: None },
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
        version: Version::FIRST,
    }
}

/// The one project, in which the actor has this role.
pub(crate) fn joined(role: Option<ProjectRole>) -> MockProjectRepository {
    let mut projects = MockProjectRepository::new();
    projects.expect_find().returning(move |user, id| {
        assert_eq!(user, actor().user);
        let joined = role.map(|role| JoinedProject { project: project(), role });
        Ok(joined.filter(|_| id == PROJECT))
    });
    projects
}

/// Where the key `k` was used already.
pub(crate) fn keys(route: &'static str, used: Option<UsedKey>) -> MockIdempotencyKeys {
    let mut keys = MockIdempotencyKeys::new();
    keys.expect_find()
        .withf(move |owner, asked, key, _| {
            (*owner, *asked == *route, key) == (actor().user, true, "k")
        })
        .returning(move |_, _, _, _| Ok(used));
    keys
}

pub(crate) fn clock() -> MockClock {
    let mut clock = MockClock::new();
    clock.expect_now().return_const(NOW);
    clock
}
