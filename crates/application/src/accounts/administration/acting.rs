//! Acting in somebody else's name.

use repartee_domain::audit::Action;

use super::UserAdminService;
use crate::{Actor, AppError, Permission, ports::UserReference};

impl UserAdminService {
    /// Who may see to this user's own things: themselves, or an administrator in their name, which
    /// is recorded before anything is read. `place` is where it was asked for, like
    /// `GET /api/v1/users/{user_id}/conversations`.
    ///
    /// # Errors
    /// [`AppError::NotYours`] for anybody else, whether there is such a user or not.
    pub async fn acting_for(
        &self,
        actor: &Actor,
        user: UserReference,
        place: &str,
    ) -> Result<Actor, AppError> {
        if user == actor.user.into() {
            return Ok(actor.clone());
        }
        let found = self.directory.find(user).await?;
        if found.as_ref().is_some_and(|user| user.id == actor.user) {
            return Ok(actor.clone());
        }
        actor.may(Permission::ActForOthers).map_err(|_| AppError::NotYours)?;
        let user = found.ok_or(AppError::USER_NOT_FOUND)?;
        let now = self.accounts.ports.clock.now();
        let entry = actor.did(Action::OthersRead, now).on("user", user.id).with("route", place);
        self.recorder.record(entry).await?;
        Ok(Actor { user: user.id, ..actor.clone() })
    }
}

#[cfg(test)]
mod tests {
    use repartee_domain::{Reference, accounts::Role};

    use super::{
        super::fixture::{ADMIN, actor, recording, service},
        *,
    };
    use crate::{
        accounts::fixture::{Fixture, USER, ada},
        ports::MockUserDirectory,
    };

    const PLACE: &str = "GET /there";

    fn knowing_ada() -> MockUserDirectory {
        let mut directory = MockUserDirectory::new();
        directory.expect_find().returning(|_| Ok(Some(ada())));
        directory
    }

    #[tokio::test]
    async fn everybody_acts_for_themselves_by_id_and_by_code() {
        let actor = Actor { user: USER, ..actor(Role::User) };
        for name in [Reference::Id(USER), Reference::Code(ada().code)] {
            let service = service(Fixture::new(), knowing_ada());
            assert_eq!(service.acting_for(&actor, name, PLACE).await.unwrap(), actor);
        }
    }

    #[tokio::test]
    async fn an_administrator_acts_in_anybodys_name_which_is_recorded() {
        let (service, recorded) = recording(Fixture::new(), knowing_ada());

        let acting = service.acting_for(&actor(Role::Admin), USER.into(), PLACE).await.unwrap();

        assert_eq!((acting.user, acting.role), (USER, Role::Admin));
        let entries = recorded.lock().unwrap();
        let [entry] = &entries[..] else { panic!("{entries:?}") };
        assert_eq!(entry.action, Action::OthersRead);
        let about = entry.resource.as_ref().unwrap();
        assert_eq!((about.kind, about.id.as_str()), ("user", USER.to_string().as_str()));
    }

    #[tokio::test]
    async fn nobody_else_learns_whether_there_is_such_a_user() {
        for found in [Some(ada()), None] {
            let mut directory = MockUserDirectory::new();
            directory.expect_find().return_once(|_| Ok(found));
            let service = service(Fixture::new(), directory);

            let refused = service.acting_for(&actor(Role::Manager), USER.into(), PLACE).await;

            assert_eq!(refused.unwrap_err().classify().1, "not_yours");
        }
    }

    #[tokio::test]
    async fn an_administrator_is_told_that_there_is_no_such_user() {
        let mut directory = MockUserDirectory::new();
        directory.expect_find().return_once(|_| Ok(None));
        let service = service(Fixture::new(), directory);

        let refused = service.acting_for(&actor(Role::Admin), USER.into(), PLACE).await;

        assert_eq!(refused.unwrap_err().classify().1, "user_not_found");
        assert_ne!(ADMIN, USER);
    }
}
