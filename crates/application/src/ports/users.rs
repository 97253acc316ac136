//! Users as administrators see them. Guests are none.

use std::collections::HashSet;

use async_trait::async_trait;
use repartee_domain::{
    Reference, UserId,
    accounts::{Role, User},
    audit::AuditEntry,
};

use super::{NewKey, PasswordHash, PortError, UsedKey};
use crate::{Page, PageRequest};

/// A user's id or code.
pub type UserReference = Reference<UserId, 16>;

/// Which users to list; nothing for all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserFilter {
    pub role: Option<Role>,
    pub is_active: Option<bool>,
    /// What the address or the username begins with, in lower case.
    pub prefix: Option<String>,
}

/// A change to an account, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountChange {
    /// As it is to be, with the version that was read.
    pub user: User,
    /// Whether another active administrator has to remain.
    pub needs_another_admin: bool,
    pub ends_sessions: bool,
    /// Whether links in mails to the address before are good no more.
    pub drops_links: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountChanged {
    /// With the next version.
    Done(Box<User>),
    /// There would be no active administrator: nothing was changed.
    LastAdmin,
}

/// Addresses and keys of usernames that are in use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamesInUse {
    pub emails: HashSet<String>,
    pub usernames: HashSet<String>,
}

#[cfg_attr(any(test, feature = "test-support"), mockall::automock)]
#[async_trait]
pub trait UserDirectory: Send + Sync {
    async fn find(&self, user: UserReference) -> Result<Option<User>, PortError>;

    /// Newest first.
    async fn list(
        &self,
        filter: UserFilter,
        page: PageRequest<UserId>,
    ) -> Result<Page<User, UserId>, PortError>;

    /// Stores address, role and whether the user is active. Of any number of concurrent calls none
    /// takes the last active administrator away.
    ///
    /// # Errors
    /// [`PortError::Stale`] unless the stored version is the one read; [`PortError::Taken`] with
    /// `email`.
    async fn change(
        &self,
        change: AccountChange,
        entries: Vec<AuditEntry>,
    ) -> Result<AccountChanged, PortError>;

    /// Deletes a user who is not active, with everything that is theirs.
    ///
    /// # Errors
    /// [`PortError::Stale`] where there is none.
    async fn delete(&self, user: UserId, entry: AuditEntry) -> Result<(), PortError>;

    /// Stores a user and, in the same commit, the idempotency key of `maker`. Where that was used
    /// before, nothing is stored, and what was done under it is given.
    ///
    /// # Errors
    /// As [`UserRepository::register`].
    ///
    /// [`UserRepository::register`]: super::UserRepository::register
    async fn make(
        &self,
        user: User,
        password: PasswordHash,
        maker: UserId,
        key: Option<NewKey>,
        entry: AuditEntry,
    ) -> Result<Option<UsedKey>, PortError>;

    /// Which of these addresses and keys of usernames are in use.
    async fn in_use(
        &self,
        emails: Vec<String>,
        usernames: Vec<String>,
    ) -> Result<NamesInUse, PortError>;

    /// Stores users, all or none.
    ///
    /// # Errors
    /// As [`UserRepository::register`].
    ///
    /// [`UserRepository::register`]: super::UserRepository::register
    async fn import(
        &self,
        users: Vec<(User, PasswordHash)>,
        entries: Vec<AuditEntry>,
    ) -> Result<(), PortError>;
}
