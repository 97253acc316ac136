//! One's own profile.

use repartee_domain::{
    Version,
    accounts::{ProfileChanges, User},
};

use super::{AccountService, register::taken};
use crate::{Actor, AppError, ports::PortError};

impl AccountService {
    pub async fn profile(&self, actor: &Actor) -> Result<User, AppError> {
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
        let user = self.profile(actor).await?;
        if expected.is_some_and(|expected| expected != user.version) {
            return Err(AppError::VersionMismatch);
        }
        let profile = user.profile.with(changes).map_err(AppError::Invalid)?;
        if profile == user.profile {
            return Ok(user);
        }
        let changed = User { profile, updated_at: self.ports.clock.now(), ..user };
        match self.ports.users.save(changed).await {
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

    const ACTOR: Actor = Actor { user: USER, role: Role::User, session: SESSION };

    fn fixture() -> Fixture {
        let mut fixture = Fixture::new();
        fixture.users.expect_find().returning(|_| Ok(Some(ada())));
        fixture
    }

    fn first_name(name: &str) -> ProfileChanges {
        ProfileChanges { first_name: Some(Some(name.into())), ..ProfileChanges::default() }
    }

    #[tokio::test]
    async fn a_change_is_saved() {
        let mut fixture = fixture();
        fixture
            .users
            .expect_save()
            .withf(|user| {
                user.profile.first_name.as_deref() == Some("Ada") && user.updated_at == NOW
            })
            .once()
            .returning(Ok);

        fixture.service().change_profile(&ACTOR, first_name("Ada"), None).await.unwrap();
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
