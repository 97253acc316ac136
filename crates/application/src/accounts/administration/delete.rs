//! Deleting a user with everything that is theirs.

use repartee_domain::{accounts::User, audit::Action};

use super::UserAdminService;
use crate::{
    Actor, AppError, Permission,
    ports::{PortError, UserReference},
};

impl UserAdminService {
    /// Deletes a user for good. First they are deactivated, so that nothing new is begun; then
    /// their replies that are being written stop. Cut short, it is done again by the next call.
    ///
    /// # Errors
    /// [`AppError::LastAdmin`] for the last active administrator.
    pub async fn delete(&self, actor: &Actor, user: UserReference) -> Result<(), AppError> {
        let user = self.find(actor, user).await?;
        actor.may(Permission::ManageUsers)?;
        let user = if user.is_active {
            let inactive = User { is_active: false, ..user.clone() };
            self.store(actor, &user, inactive).await?
        } else {
            user
        };
        for generation in self.turns.running_of(user.id).await? {
            self.replies.stop_and_wait(user.id, generation.id).await?;
        }
        let now = self.accounts.ports.clock.now();
        let entry = actor.did(Action::AccountDeleted, now).on("user", user.id);
        match self.directory.delete(user.id, entry).await {
            // Somebody else deleted them, or wants them back.
            Err(PortError::Stale) if self.directory.find(user.id.into()).await?.is_none() => {
                Err(AppError::USER_NOT_FOUND)
            }
            deleted => Ok(deleted?),
        }
    }
}

#[cfg(test)]
mod tests {
    use mockall::Sequence;
    use repartee_domain::accounts::Role;

    use super::*;
    use crate::{
        accounts::{
            administration::fixture::{actor, service},
            fixture::{Fixture, USER, ada},
        },
        ports::{AccountChanged, MockUserDirectory},
    };

    #[tokio::test]
    async fn who_is_deleted_was_deactivated_before() {
        let mut order = Sequence::new();
        let mut directory = MockUserDirectory::new();
        directory.expect_find().returning(|_| Ok(Some(ada())));
        directory
            .expect_change()
            .withf(|change, _| change.ends_sessions)
            .once()
            .in_sequence(&mut order)
            .returning(|change, _| Ok(AccountChanged::Done(Box::new(change.user))));
        directory
            .expect_delete()
            .withf(|user, entry| *user == USER && entry.action == Action::AccountDeleted)
            .once()
            .in_sequence(&mut order)
            .returning(|_, _| Ok(()));

        let service = service(Fixture::new(), directory);
        service.delete(&actor(Role::Admin), USER.into()).await.unwrap();
    }

    #[tokio::test]
    async fn the_last_administrator_is_not_deleted() {
        let mut directory = MockUserDirectory::new();
        directory.expect_find().returning(|_| Ok(Some(User { role: Role::Admin, ..ada() })));
        directory.expect_change().returning(|_, _| Ok(AccountChanged::LastAdmin));

        let service = service(Fixture::new(), directory);
        let refused = service.delete(&actor(Role::Admin), USER.into()).await.unwrap_err();

        assert_eq!(refused.classify().1, "last_admin");
    }
}
