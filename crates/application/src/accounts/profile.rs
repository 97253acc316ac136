//! One's own profile.

use repartee_domain::{
    Version,
    accounts::{ProfileChanges, User},
    audit::Action,
};

use super::{AccountService, register::taken};
use crate::{Actor, AppError, Permission, ports::PortError};

impl AccountService {
    pub async fn profile(&self, actor: &Actor) -> Result<User, AppError> {
        actor.may(Permission::ReadProfile)?;
        // The account was there when the token was checked; whoever erased it meanwhile wins.
        self.ports.users.find(actor.user).await?.ok_or(AppError::Unauthenticated)
    }

    /// Changes the fields that are named. `expected` is the version that the caller read, where
    /// it says so.
    pub async fn change_profile(
        &self,
        actor: &Actor,
        changes: ProfileChanges,
        expected: Option<Version>,
    ) -> Result<User, AppError> {
        actor.may(Permission::ManageAccount)?;
        let user = self.profile(actor).await?;
        if expected.is_some_and(|expected| expected != user.version) {
            return Err(AppError::VersionMismatch);
        }
        let profile = user.profile.with(changes).map_err(AppError::Invalid)?;
        if profile == user.profile {
            return Ok(user);
        }
        let now = self.ports.clock.now();
        // Their names alone: what a profile says is personal.
        let fields = profile.differing(&user.profile).join(" ");
        let entry = actor.did(Action::AccountChanged, now).on("user", user.id);
        let changed = User { profile, updated_at: now, ..user };
        match self.ports.users.save(changed, entry.with("fields", fields)).await {
            Err(PortError::Stale) if expected.is_some() => Err(AppError::VersionMismatch),
            saved => saved.map_err(taken),
        }
    }
}

#[cfg(test)]
mod tests {
    use repartee_domain::accounts::Role;

    use super::*;
    use crate::accounts::fixture::{Fixture, NOW, SESSION, USER, ada};
    use crate::{Credential, Origin};

    const ACTOR: Actor = Actor {
        user: USER,
        role: Role::User,
        credential: Credential::Session(SESSION),
        origin: Origin { address: None, user_agent: None, request_id: None },
    };

    fn fixture() -> Fixture {
        let mut fixture = Fixture::new();
        fixture.users.expect_find().returning(|_| Ok(Some(ada())));
        fixture
    }

    fn first_name(name: &str) -> ProfileChanges {
        ProfileChanges { first_name: Some(Some(name.into())), ..ProfileChanges::default() }
    }

    #[tokio::test]
    async fn a_change_is_saved_and_its_fields_are_recorded() {
        let mut fixture = fixture();
        fixture
            .users
            .expect_save()
            .withf(|user, entry| {
                user.profile.first_name.as_deref() == Some("Ada")
                    && user.updated_at == NOW
                    && entry.action == Action::AccountChanged
                    && entry.actor.user() == Some(USER)
                    && entry.details == [("fields", "first_name language".to_owned())].into()
            })
            .once()
            .returning(|user, _| Ok(user));
        let changes = ProfileChanges { language: Some(Some("en".into())), ..first_name("Ada") };

        fixture.service().change_profile(&ACTOR, changes, None).await.unwrap();
    }

    // No `save` is expected below: a call fails the test.

    #[tokio::test]
    async fn a_change_that_changes_nothing_is_not_written() {
        let same = ProfileChanges { first_name: Some(None), ..ProfileChanges::default() };
        fixture().service().change_profile(&ACTOR, same, None).await.unwrap();
    }

    #[tokio::test]
    async fn a_change_to_a_version_that_was_overtaken_is_refused() {
        let old = Some(Version::new(7));
        let error =
            fixture().service().change_profile(&ACTOR, first_name("Ada"), old).await.unwrap_err();
        assert_eq!(error.classify().1, "version_mismatch");
    }
}
