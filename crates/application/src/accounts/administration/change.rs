//! Giving roles, deactivating, and changing addresses.

use repartee_domain::{
    Version,
    accounts::{Email, Role, User},
    audit::{Action, AuditEntry},
};

use super::{UserAdminService, taken};
use crate::{
    Actor, AppError, Permission,
    ports::{AccountChange, AccountChanged, PortError, UserReference},
};

/// `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountChanges {
    pub email: Option<String>,
    pub role: Option<Role>,
    pub is_active: Option<bool>,
}

impl UserAdminService {
    /// Changes the fields that are named. `expected` is the version that the caller read, where it
    /// says so. Who is deactivated is signed out everywhere; a new address has to be verified.
    ///
    /// # Errors
    /// [`AppError::LastAdmin`] where no active administrator would remain.
    pub async fn change(
        &self,
        actor: &Actor,
        user: UserReference,
        changes: AccountChanges,
        expected: Option<Version>,
    ) -> Result<User, AppError> {
        let before = self.find(actor, user).await?;
        actor.may(Permission::ManageUsers)?;
        if expected.is_some_and(|expected| expected != before.version) {
            return Err(AppError::VersionMismatch);
        }
        let after = changed(&before, changes)?;
        if after == before {
            return Ok(before);
        }
        let changed = self.store(actor, &before, after).await;
        match changed {
            Err(AppError::Port(PortError::Stale)) if expected.is_some() => {
                Err(AppError::VersionMismatch)
            }
            changed => changed,
        }
    }

    pub(super) async fn store(
        &self,
        actor: &Actor,
        before: &User,
        after: User,
    ) -> Result<User, AppError> {
        let ports = &self.accounts.ports;
        let after = User { updated_at: ports.clock.now(), ..after };
        let change = AccountChange {
            needs_another_admin: is_active_admin(before) && !is_active_admin(&after),
            ends_sessions: before.is_active && !after.is_active,
            drops_links: before.email != after.email,
            user: after.clone(),
        };
        let is_new_address = change.drops_links;
        let entries = entries(actor, before, &after);
        match self.directory.change(change, entries).await.map_err(taken)? {
            AccountChanged::LastAdmin => Err(AppError::LastAdmin),
            AccountChanged::Done(user) => {
                if is_new_address && user.is_active {
                    ports.letters.verify(&user);
                }
                Ok(*user)
            }
        }
    }
}

fn changed(before: &User, changes: AccountChanges) -> Result<User, AppError> {
    let mut after = before.clone();
    if let Some(email) = changes.email {
        after.email = Email::parse(&email).map_err(AppError::invalid)?;
        if after.email != before.email {
            after.email_verified_at = None;
        }
    }
    after.role = changes.role.unwrap_or(before.role);
    after.is_active = changes.is_active.unwrap_or(before.is_active);
    Ok(after)
}

fn is_active_admin(user: &User) -> bool {
    user.is_active && user.role == Role::Admin
}

/// One for each thing that changed. Addresses are personal, and not in it.
fn entries(actor: &Actor, before: &User, after: &User) -> Vec<AuditEntry> {
    let entry = |action| actor.did(action, after.updated_at).on("user", after.id);
    let mut entries = Vec::new();
    if before.role != after.role {
        let roles = entry(Action::RoleChanged).with("from", before.role.as_str());
        entries.push(roles.with("to", after.role.as_str()));
    }
    match (before.is_active, after.is_active) {
        (true, false) => entries.push(entry(Action::AccountDeactivated)),
        (false, true) => entries.push(entry(Action::AccountReactivated)),
        _ => {}
    }
    if before.email != after.email {
        entries.push(entry(Action::AccountChanged).with("field", "email"));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        accounts::{
            administration::fixture::{actor, service},
            fixture::{Fixture, USER, ada},
        },
        ports::MockUserDirectory,
    };

    fn holding(user: User) -> MockUserDirectory {
        let mut directory = MockUserDirectory::new();
        directory.expect_find().returning(move |_| Ok(Some(user.clone())));
        directory
    }

    async fn change(
        directory: MockUserDirectory,
        changes: AccountChanges,
        expected: Option<Version>,
    ) -> Result<User, AppError> {
        let service = service(Fixture::new(), directory);
        service.change(&actor(Role::Admin), USER.into(), changes, expected).await
    }

    fn demoted() -> AccountChanges {
        AccountChanges { role: Some(Role::User), ..AccountChanges::default() }
    }

    #[tokio::test]
    async fn every_change_is_told_and_what_follows_from_it_is_asked_for() {
        let mut directory = holding(User { role: Role::Admin, ..ada() });
        directory
            .expect_change()
            .withf(|change, entries| {
                let actions: Vec<_> = entries.iter().map(|entry| entry.action).collect();
                change.ends_sessions
                    && change.needs_another_admin
                    && change.drops_links
                    && change.user.email_verified_at.is_none()
                    && actions
                        == [Action::RoleChanged, Action::AccountDeactivated, Action::AccountChanged]
                    && !format!("{entries:?}").contains("@example.com")
            })
            .once()
            .returning(|change, _| Ok(AccountChanged::Done(Box::new(change.user))));
        let changes = AccountChanges {
            email: Some("lovelace@example.com".into()),
            role: Some(Role::User),
            is_active: Some(false),
        };

        change(directory, changes, None).await.unwrap();
    }

    #[tokio::test]
    async fn who_is_no_administrator_needs_no_other() {
        for user in [ada(), User { role: Role::Admin, is_active: false, ..ada() }] {
            let mut directory = holding(user);
            directory
                .expect_change()
                .withf(|change, _| !change.needs_another_admin && !change.ends_sessions)
                .returning(|change, _| Ok(AccountChanged::Done(Box::new(change.user))));
            let changes = AccountChanges { role: Some(Role::Manager), ..AccountChanges::default() };
            change(directory, changes, None).await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_last_administrator_stays_one() {
        let mut directory = holding(User { role: Role::Admin, ..ada() });
        directory.expect_change().returning(|_, _| Ok(AccountChanged::LastAdmin));
        let refused = change(directory, demoted(), None).await.unwrap_err();
        assert_eq!(refused.classify().1, "last_admin");
    }

    #[tokio::test]
    async fn changing_nothing_writes_nothing_and_an_old_version_is_refused() {
        change(holding(ada()), demoted(), None).await.unwrap();
        let refused = change(holding(ada()), demoted(), Some(Version::new(7))).await.unwrap_err();
        assert_eq!(refused.classify().1, "version_mismatch");
    }

    #[tokio::test]
    async fn the_loser_of_a_race_is_told() {
        for (expected, code) in [(None, "stale_write"), (Some(Version::FIRST), "version_mismatch")]
        {
            let mut directory = holding(User { role: Role::Admin, ..ada() });
            directory.expect_change().returning(|_, _| Err(PortError::Stale));
            let refused = change(directory, demoted(), expected).await.unwrap_err();
            assert_eq!(refused.classify().1, code);
        }
    }
}
