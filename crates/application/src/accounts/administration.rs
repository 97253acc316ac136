//! Users as administrators see them: making, finding, changing and deleting them.

mod acting;
mod change;
mod delete;
mod import;

use std::sync::Arc;

use repartee_domain::{
    UserId,
    accounts::{ProfileChanges, Role, User},
    audit::Action,
};
use secrecy::SecretString;

use super::{AccountService, register::taken};
use crate::{
    Actor, AppError, IdempotencyKey, Page, PageRequest, Permission,
    idempotency::Making,
    ports::{
        AuditRecorder, IdempotencyKeys, TurnRepository, UserDirectory, UserFilter, UserReference,
    },
    replies::ReplyService,
};

pub use self::{
    change::AccountChanges,
    import::{Claimed, ImportError, ImportedUser, UserImport},
};

/// Where the keys of new users are used.
const KEY_ROUTE: &str = "users";

pub struct UserAdminService {
    accounts: Arc<AccountService>,
    directory: Arc<dyn UserDirectory>,
    keys: Arc<dyn IdempotencyKeys>,
    turns: Arc<dyn TurnRepository>,
    replies: ReplyService,
    recorder: Arc<dyn AuditRecorder>,
}

/// Somebody whom an administrator makes a user.
#[derive(Debug)]
pub struct NewUser {
    pub email: String,
    /// Without one, a link to choose it is mailed.
    pub password: Option<SecretString>,
    pub profile: ProfileChanges,
    pub role: Role,
    pub is_active: bool,
}

impl UserAdminService {
    pub fn new(
        accounts: Arc<AccountService>,
        directory: Arc<dyn UserDirectory>,
        keys: Arc<dyn IdempotencyKeys>,
        turns: Arc<dyn TurnRepository>,
        replies: ReplyService,
        recorder: Arc<dyn AuditRecorder>,
    ) -> Self {
        Self { accounts, directory, keys, turns, replies, recorder }
    }

    /// Newest first.
    pub async fn list(
        &self,
        actor: &Actor,
        filter: UserFilter,
        page: PageRequest<UserId>,
    ) -> Result<Page<User, UserId>, AppError> {
        actor.may(Permission::ListUsers)?;
        Ok(self.directory.list(filter, page).await?)
    }

    /// Oneself, or anybody where one manages users. To others nobody else is there.
    pub async fn find(&self, actor: &Actor, user: UserReference) -> Result<User, AppError> {
        let found = self.directory.find(user).await?.ok_or(AppError::USER_NOT_FOUND)?;
        if found.id == actor.user {
            actor.may(Permission::ReadProfile)?;
        } else if actor.may(Permission::ManageUsers).is_err() {
            return Err(AppError::USER_NOT_FOUND);
        }
        Ok(found)
    }

    /// Makes a user, and mails them. Where the key was used for the same before, that user is given
    /// again, as they are by now, and nothing is mailed.
    ///
    /// # Errors
    /// [`AppError::AlreadyDone`] where they were deleted since.
    pub async fn make(
        &self,
        actor: &Actor,
        new: NewUser,
        key: Option<IdempotencyKey>,
    ) -> Result<User, AppError> {
        actor.may(Permission::ManageUsers)?;
        let accounts = &self.accounts;
        let making = Making::new(actor.user, KEY_ROUTE, key.as_ref(), accounts.ports.clock.now());
        if let Some(id) = making.made_before(&*self.keys).await? {
            return self.again(UserId::from_uuid(id)).await;
        }
        let password = new.password.as_ref();
        let (user, hash) = accounts.new_user(&new.email, password, new.profile, new.role).await?;
        let user = User { is_active: new.is_active, ..user };
        let now = user.created_at;
        let entry = actor.did(Action::AccountMade, now).on("user", user.id);
        let entry = entry.with("role", user.role.as_str());
        let chooses_password = hash.is_none();
        let made = self.directory.make(user.clone(), hash, actor.user, making.new_key(), entry);
        if let Some(used) = made.await.map_err(taken)? {
            return self.again(UserId::from_uuid(making.made_by(used)?)).await;
        }
        if !user.is_active {
            return Ok(user);
        }
        if chooses_password {
            let entry = actor.did(Action::PasswordResetAsked, now).on("user", user.id);
            accounts.ports.letters.reset(&user, entry);
        } else {
            accounts.ports.letters.verify(&user);
        }
        Ok(user)
    }

    async fn again(&self, user: UserId) -> Result<User, AppError> {
        self.directory.find(user.into()).await?.ok_or(AppError::AlreadyDone)
    }
}

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod tests {
    use repartee_domain::{Reference, accounts::Profile};

    use super::{fixture::*, *};
    use crate::{
        accounts::fixture::{Fixture, USER, ada},
        ports::{Done, MockUserDirectory, UsedKey},
    };

    fn new_user(password: Option<&str>) -> NewUser {
        NewUser {
            email: "grace@example.com".into(),
            password: password.map(Into::into),
            profile: ProfileChanges::default(),
            role: Role::Manager,
            is_active: true,
        }
    }

    #[tokio::test]
    async fn each_finds_oneself_and_who_manages_users_anybody() {
        for (role, other_is_there) in
            [(Role::User, false), (Role::Manager, false), (Role::Admin, true)]
        {
            let mut directory = MockUserDirectory::new();
            directory.expect_find().returning(|user| {
                let Reference::Id(id) = user else { return Ok(None) };
                Ok(Some(User { id, ..ada() }))
            });
            let service = service(Fixture::new(), directory);
            assert!(service.find(&actor(role), ADMIN.into()).await.is_ok());
            let other = service.find(&actor(role), USER.into()).await;
            match other {
                Ok(_) => assert!(other_is_there, "{role:?}"),
                Err(error) => {
                    assert!(!other_is_there, "{role:?}");
                    assert_eq!(error.classify().1, "user_not_found");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_manager_lists_and_makes_nobody() {
        let mut directory = MockUserDirectory::new();
        directory.expect_list().returning(|_, _| Ok(Page { items: vec![ada()], next: None }));
        let service = service(Fixture::new(), directory);
        let page = || PageRequest { limit: 20, after: None };
        let (user, manager) = (actor(Role::User), actor(Role::Manager));

        let listed = service.list(&manager, UserFilter::default(), page()).await.unwrap();
        assert_eq!(listed.items.len(), 1);
        let refused = service.list(&user, UserFilter::default(), page()).await.unwrap_err();
        assert_eq!(refused.classify().1, "forbidden");
        let refused = service.make(&manager, new_user(None), None).await.unwrap_err();
        assert_eq!(refused.classify().1, "forbidden");
    }

    #[tokio::test]
    async fn who_is_made_without_a_password_is_mailed_a_link_to_choose_it() {
        for (password, subject) in
            [(None, "Choose a new password"), (Some("analytical1"), "Confirm your address")]
        {
            let mut fixture = Fixture::new();
            let is_none = password.is_none();
            let mut directory = MockUserDirectory::new();
            directory
                .expect_make()
                .withf(move |user, hash, maker, key, entry| {
                    user.role == Role::Manager
                        && user.profile == Profile::default()
                        && hash.is_none() == is_none
                        && (*maker, key) == (ADMIN, &None)
                        && entry.actor.user() == Some(ADMIN)
                })
                .once()
                .returning(|_, _, _, _, _| Ok(None));
            fixture.links.expect_store().once().returning(|_, _| Ok(()));
            fixture
                .mailer
                .expect_send()
                .withf(move |mail| mail.subject == subject)
                .once()
                .returning(|_| Ok(()));
            let tasks = fixture.tasks.clone();
            let service = service(fixture, directory);

            service.make(&actor(Role::Admin), new_user(password), None).await.unwrap();

            tasks.run().await;
        }
    }

    /// A directory in which another request was faster, and Ada is there unless deleted.
    fn directory(is_there: bool, faster: Option<UsedKey>) -> MockUserDirectory {
        let mut directory = MockUserDirectory::new();
        if faster.is_some() {
            directory
                .expect_make()
                .withf(|_, _, _, key, _| {
                    key.as_ref().is_some_and(|key| (key.route, &*key.key) == ("users", "k"))
                })
                .once()
                .returning(move |_, _, _, _, _| Ok(faster));
        }
        directory
            .expect_find()
            .withf(|user| *user == Reference::Id(USER))
            .returning(move |_| Ok(is_there.then(ada)));
        directory
    }

    #[tokio::test]
    async fn a_user_is_made_and_mailed_once() {
        for (fingerprint, is_there, expected) in [
            (1, true, Ok(USER)),
            (1, false, Err("already_done")),
            (2, true, Err("idempotency_key_reused")),
        ] {
            let used =
                UsedKey { fingerprint: [fingerprint; 32], done: Done::Resource(USER.as_uuid()) };
            // Found before, and found when another request was faster.
            for (found, faster) in [(Some(used), None), (None, Some(used))] {
                let fixture = Fixture::new();
                let tasks = fixture.tasks.clone();
                let service = service_after(found, fixture, directory(is_there, faster));
                let key = IdempotencyKey::parse("k", [1; 32]).unwrap();

                let made = service.make(&actor(Role::Admin), new_user(None), Some(key)).await;

                let made = made.map(|user| user.id).map_err(|error| error.classify().1);
                assert_eq!(made, expected);
                assert_eq!(tasks.len(), 0, "no mail");
            }
        }
    }
}
