//! Who may do what: the one place where that is decided.
//!
//! A use case asks before it does anything. What belongs to somebody else is no question of
//! permission: nobody but its owner finds it.

use repartee_domain::accounts::{Role, Scope};

use crate::{Actor, AppError, Credential};

/// What a use case does, as far as it matters for who may do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Reading what is one's own: conversations, messages, replies, events.
    Read,
    /// Conversing: making and changing what is one's own, and asking models.
    Chat,
    /// Taking one's own conversations away as files.
    Export,
    /// Bringing conversations from elsewhere.
    Import,
    /// Letting anyone read a conversation who has its link.
    Share,
    /// Reading one's own profile.
    ReadProfile,
    /// Passwords, keys, login sessions, one's profile and erasure.
    ManageAccount,
    /// The catalogue of personas, with their system prompts.
    EditPersonas,
    /// Projects that one is a member of.
    ReadProjects,
    /// Making projects, and editing them and their prompts.
    EditProjects,
    /// The files of projects that one is a member of.
    ReadFiles,
    /// Uploading and deleting files of projects.
    EditFiles,
    /// Letting others into projects of one's own.
    ShareProjects,
    /// The list of users.
    ListUsers,
    /// Making, changing and deleting users, and giving roles.
    ManageUsers,
    /// What belongs to somebody else, in their name.
    ActForOthers,
    /// The audit log.
    ReadAudit,
}

/// What a key needs for something.
enum ForKeys {
    Scope(&'static [Scope]),
    /// Whatever it opens.
    Any,
    Never,
}

impl Permission {
    const fn least_role(self) -> Role {
        match self {
            Self::Read | Self::Chat => Role::Guest,
            Self::Export
            | Self::Import
            | Self::Share
            | Self::ReadProfile
            | Self::ManageAccount
            | Self::ReadProjects
            | Self::EditProjects
            | Self::ReadFiles
            | Self::EditFiles
            | Self::ShareProjects => Role::User,
            Self::EditPersonas | Self::ListUsers => Role::Manager,
            Self::ManageUsers | Self::ActForOthers | Self::ReadAudit => Role::Admin,
        }
    }

    /// A key never manages an account, its own or another, nor who else may do what.
    const fn for_keys(self) -> ForKeys {
        match self {
            Self::Read | Self::Export | Self::ReadProjects => {
                ForKeys::Scope(&[Scope::Read, Scope::Chat])
            }
            Self::Chat | Self::Import | Self::Share | Self::EditProjects => {
                ForKeys::Scope(&[Scope::Chat])
            }
            Self::ReadFiles => ForKeys::Scope(&[Scope::Files, Scope::Read]),
            Self::EditFiles => ForKeys::Scope(&[Scope::Files]),
            Self::ReadProfile => ForKeys::Any,
            Self::ManageAccount
            | Self::EditPersonas
            | Self::ShareProjects
            | Self::ListUsers
            | Self::ManageUsers
            | Self::ActForOthers
            | Self::ReadAudit => ForKeys::Never,
        }
    }
}

impl Actor {
    /// # Errors
    /// [`AppError::NotForKeys`], [`AppError::InsufficientScope`] or [`AppError::Forbidden`].
    pub fn may(&self, permission: Permission) -> Result<(), AppError> {
        if let Credential::Key(key) = &self.credential {
            match permission.for_keys() {
                ForKeys::Never => return Err(AppError::NotForKeys),
                ForKeys::Any => {}
                ForKeys::Scope(any_of) => {
                    if !any_of.iter().any(|scope| key.scopes.contains(*scope)) {
                        let scope = any_of.first().copied().unwrap_or(Scope::Chat);
                        return Err(AppError::InsufficientScope(scope));
                    }
                }
            }
        }
        if self.role < permission.least_role() {
            return Err(AppError::Forbidden(permission.least_role()));
        }
        Ok(())
    }

    /// Guests get the default model.
    ///
    /// # Errors
    /// [`AppError::Forbidden`].
    pub fn may_name_a_model(&self) -> Result<(), AppError> {
        if self.role == Role::Guest { Err(AppError::Forbidden(Role::User)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::DateTime;
    use repartee_domain::{ApiKeyId, LoginSessionId, UserId, accounts::ApiKey};
    use uuid::Uuid;

    use super::*;
    use crate::Origin;

    const ALL: [Permission; 17] = [
        Permission::Read,
        Permission::Chat,
        Permission::Export,
        Permission::Import,
        Permission::Share,
        Permission::ReadProfile,
        Permission::ManageAccount,
        Permission::ReadProjects,
        Permission::EditProjects,
        Permission::ReadFiles,
        Permission::EditFiles,
        Permission::ShareProjects,
        Permission::EditPersonas,
        Permission::ListUsers,
        Permission::ManageUsers,
        Permission::ActForOthers,
        Permission::ReadAudit,
    ];

    fn actor(role: Role, credential: Credential) -> Actor {
        let user = UserId::from_uuid(Uuid::from_u128(1));
        Actor { user, role, credential, origin: Origin::default() }
    }

    fn key(scopes: &str) -> Credential {
        let key = ApiKey {
            id: ApiKeyId::from_uuid(Uuid::from_u128(2)),
            owner: UserId::from_uuid(Uuid::from_u128(1)),
            name: "a script".into(),
            prefix: "rpt_12345678".into(),
            scopes: scopes.parse().unwrap(),
            models: None,
            requests_per_minute: None,
            monthly_token_budget: None,
            last_used_at: None,
            expires_at: None,
            revoked_at: None,
            created_at: DateTime::UNIX_EPOCH,
        };
        Credential::Key(Arc::new(key))
    }

    fn allowed(actor: &Actor) -> Vec<Permission> {
        ALL.into_iter().filter(|permission| actor.may(*permission).is_ok()).collect()
    }

    #[test]
    fn each_role_may_what_those_below_it_may_and_more() {
        use Permission::*;

        let session = Credential::Session(LoginSessionId::from_uuid(Uuid::from_u128(3)));
        let of = |role| allowed(&actor(role, session.clone()));
        assert_eq!(allowed(&actor(Role::Guest, Credential::Guest)), [Read, Chat]);
        let chats = [Read, Chat, Export, Import, Share];
        let account = [ReadProfile, ManageAccount];
        let projects = [ReadProjects, EditProjects, ReadFiles, EditFiles, ShareProjects];
        let user = [&chats[..], &account, &projects].concat();
        assert_eq!(of(Role::User), user);
        assert_eq!(of(Role::Manager), [&user[..], &[EditPersonas, ListUsers]].concat());
        assert_eq!(of(Role::Admin), ALL);
    }

    #[test]
    fn a_key_opens_what_its_scopes_say_whoever_made_it() {
        use Permission::*;

        for role in [Role::User, Role::Admin] {
            let read = [Read, Export, ReadProfile, ReadProjects, ReadFiles];
            assert_eq!(allowed(&actor(role, key("read"))), read);
            let chat = [Read, Chat, Export, Import, Share, ReadProfile, ReadProjects, EditProjects];
            assert_eq!(allowed(&actor(role, key("chat"))), chat);
            assert_eq!(allowed(&actor(role, key("files"))), [ReadProfile, ReadFiles, EditFiles]);
        }
        let refused = actor(Role::Admin, key("chat")).may(ManageUsers).unwrap_err();
        assert_eq!(refused.classify().1, "not_for_keys");
        let refused = actor(Role::Admin, key("read")).may(Chat).unwrap_err();
        assert_eq!(refused.classify().1, "insufficient_scope");
    }
}
