//! What is kept of what happened: who did what, when and from where.

use std::{collections::BTreeMap, fmt, str::FromStr};

use chrono::{DateTime, Utc};

use crate::UserId;

/// What happened. The names are stored: they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    LoggedIn,
    LogInFailed,
    LoggedOut,
    TokenMade,
    TokenReused,
    TokenRevoked,
    KeyMade,
    KeyFirstUsed,
    KeyRevoked,
    AccountMade,
    AccountChanged,
    AccountDeactivated,
    AccountReactivated,
    AccountDeleted,
    RoleChanged,
    PasswordChanged,
    PasswordResetAsked,
    PasswordReset,
    EmailVerified,
    IdentityMapped,
    AccessDenied,
    OthersRead,
    RateLimitHit,
    AuditRead,
    PersonaMade,
    PersonaChanged,
    PersonaDeleted,
    ProjectShared,
    ProjectUnshared,
    ConversationShared,
    ConversationUnshared,
    Started,
    Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuditOutcome {
    Success,
    Failure,
    Denied,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit log knows no such word")]
pub struct UnknownWord;

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuditActor {
    /// Nobody that is known.
    Nobody,
    User(UserId),
    /// The server itself, or who runs its commands.
    System,
}

/// What it was done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub kind: &'static str,
    pub id: String,
}

/// Where a request came from, which is personal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Personal {
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
}

/// Something that happened, as it is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub actor: AuditActor,
    pub action: Action,
    pub resource: Option<Resource>,
    pub outcome: AuditOutcome,
    /// Nothing that is personal, and no secret.
    pub details: BTreeMap<&'static str, String>,
    pub personal: Personal,
    pub request_id: Option<String>,
    pub at: DateTime<Utc>,
}

impl AuditEntry {
    pub fn new(actor: AuditActor, action: Action, at: DateTime<Utc>) -> Self {
        Self {
            actor,
            action,
            resource: None,
            outcome: AuditOutcome::Success,
            details: BTreeMap::new(),
            personal: Personal::default(),
            request_id: None,
            at,
        }
    }

    #[must_use]
    pub fn on(self, kind: &'static str, id: impl fmt::Display) -> Self {
        Self { resource: Some(Resource { kind, id: id.to_string() }), ..self }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.insert(name, value.into());
        self
    }

    #[must_use]
    pub fn outcome(self, outcome: AuditOutcome) -> Self {
        Self { outcome, ..self }
    }
}

impl Action {
    pub const ALL: [Self; 33] = [
        Self::LoggedIn,
        Self::LogInFailed,
        Self::LoggedOut,
        Self::TokenMade,
        Self::TokenReused,
        Self::TokenRevoked,
        Self::KeyMade,
        Self::KeyFirstUsed,
        Self::KeyRevoked,
        Self::AccountMade,
        Self::AccountChanged,
        Self::AccountDeactivated,
        Self::AccountReactivated,
        Self::AccountDeleted,
        Self::RoleChanged,
        Self::PasswordChanged,
        Self::PasswordResetAsked,
        Self::PasswordReset,
        Self::EmailVerified,
        Self::IdentityMapped,
        Self::AccessDenied,
        Self::OthersRead,
        Self::RateLimitHit,
        Self::AuditRead,
        Self::PersonaMade,
        Self::PersonaChanged,
        Self::PersonaDeleted,
        Self::ProjectShared,
        Self::ProjectUnshared,
        Self::ConversationShared,
        Self::ConversationUnshared,
        Self::Started,
        Self::Stopped,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoggedIn => "login",
            Self::LogInFailed => "login_failed",
            Self::LoggedOut => "logout",
            Self::TokenMade => "token_made",
            Self::TokenReused => "token_reused",
            Self::TokenRevoked => "token_revoked",
            Self::KeyMade => "key_made",
            Self::KeyFirstUsed => "key_first_used",
            Self::KeyRevoked => "key_revoked",
            Self::AccountMade => "account_made",
            Self::AccountChanged => "account_changed",
            Self::AccountDeactivated => "account_deactivated",
            Self::AccountReactivated => "account_reactivated",
            Self::AccountDeleted => "account_deleted",
            Self::RoleChanged => "role_changed",
            Self::PasswordChanged => "password_changed",
            Self::PasswordResetAsked => "password_reset_asked",
            Self::PasswordReset => "password_reset",
            Self::EmailVerified => "email_verified",
            Self::IdentityMapped => "identity_mapped",
            Self::AccessDenied => "access_denied",
            Self::OthersRead => "others_read",
            Self::RateLimitHit => "rate_limit_hit",
            Self::AuditRead => "audit_read",
            Self::PersonaMade => "persona_made",
            Self::PersonaChanged => "persona_changed",
            Self::PersonaDeleted => "persona_deleted",
            Self::ProjectShared => "project_shared",
            Self::ProjectUnshared => "project_unshared",
            Self::ConversationShared => "conversation_shared",
            Self::ConversationUnshared => "conversation_unshared",
            Self::Started => "server_started",
            Self::Stopped => "server_stopped",
        }
    }
}

impl FromStr for Action {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|action| action.as_str() == text).ok_or(UnknownWord)
    }
}

impl AuditOutcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Denied => "denied",
        }
    }
}

impl FromStr for AuditOutcome {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::Success, Self::Failure, Self::Denied]
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
            .ok_or(UnknownWord)
    }
}

impl AuditActor {
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::User(_) => "user",
            Self::System => "system",
        }
    }

    pub const fn user(self) -> Option<UserId> {
        match self {
            Self::User(id) => Some(id),
            Self::Nobody | Self::System => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_action_has_a_name_of_its_own() {
        let names: HashSet<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(action));
        }
    }
}
